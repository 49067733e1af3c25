(** The fixed tree as a tree: its sum for any addition, and its leaves. *)

From Coq Require Import List Arith Lia Permutation.
From MergeAlgebra.Definitions Require Import Floats FixedTree.
From MergeAlgebra.Lemmas Require Import FixedTrees.
Import ListNotations.
Open Scope nat_scope.

(** * The tree itself *)

Section Homomorphism.
  Context {A B : Type} (f : A -> B) (add : A -> A -> A) (add' : B -> B -> B) (zero : A) (zero' : B)
    (f_add : forall x y, f (add x y) = add' (f x) (f y)) (f_zero : f zero = zero').

  Lemma map_added xs ys : map f (added add xs ys) = added add' (map f xs) (map f ys).
  Proof. revert ys. induction xs as [|x xs IH]; intros [|y ys]; cbn; [easy|easy|easy|]. now rewrite f_add, IH. Qed.

  Lemma f_folded n xs : f (folded_by_halves add zero n xs) = folded_by_halves add' zero' n (map f xs).
  Proof.
    revert xs. induction n as [|n IH]; intros xs; cbn; [now destruct xs|].
    rewrite IH. unfold halved. now rewrite map_added, firstn_map, skipn_map.
  Qed.

  Lemma f_chunk_sum xs i : f (chunk_sum add zero xs i) = chunk_sum add' zero' (map f xs) i.
  Proof.
    unfold chunk_sum. rewrite f_folded. unfold chunk. rewrite map_map. f_equal. apply map_ext. intros j.
    now rewrite <- f_zero, map_nth.
  Qed.

  Lemma map_paired xs : map f (paired add xs) = paired add' (map f xs).
  Proof.
    induction xs as [xs IH] using (induction_ltof1 _ (@length A)). unfold ltof in IH.
    destruct xs as [|x [|y rest]]; [easy|easy|]. cbn. rewrite f_add, IH; [reflexivity|cbn; lia].
  Qed.

  Lemma map_paired_times n xs : map f (paired_times add n xs) = paired_times add' n (map f xs).
  Proof. revert xs. induction n as [|n IH]; intros xs; cbn; [easy|]. now rewrite IH, map_paired. Qed.

  Theorem f_tree_sum xs : f (tree_sum add zero xs) = tree_sum add' zero' (map f xs).
  Proof.
    unfold tree_sum, folded_by_pairs, chunk_sums. rewrite !map_length.
    replace (map (chunk_sum add' zero' (map f xs)) (seq 0 (chunks_of (length xs)))) with
      (map f (map (chunk_sum add zero xs) (seq 0 (chunks_of (length xs))))).
    - rewrite <- map_paired_times. rewrite !seq_length. generalize (paired_times add) as times. intros times.
      now destruct (times _ _).
    - rewrite map_map. apply map_ext. intros i. apply f_chunk_sum.
  Qed.
End Homomorphism.

Section Leaves.
  Context {A : Type} (zero : A).
  Notation all_leaves := (flat_map (@leaves A)).

  Lemma leaves_of_added xs ys : length xs = length ys ->
    Permutation (all_leaves (added Node xs ys)) (all_leaves (xs ++ ys)).
  Proof.
    revert ys. induction xs as [|x xs IH]; intros [|y ys] [=]; cbn; [constructor|].
    rewrite <- app_assoc. apply Permutation_app_head. rewrite IH by assumption.
    rewrite !flat_map_app. cbn. apply Permutation_app_swap_app.
  Qed.

  Lemma leaves_of_fold n xs : length xs = 2 ^ n ->
    Permutation (leaves (folded_by_halves Node (Leaf zero) n xs)) (all_leaves xs).
  Proof.
    revert xs. induction n as [|n IH]; cbn; intros xs long.
    - destruct xs as [|x [|]]; try discriminate. cbn. now rewrite app_nil_r.
    - rewrite IH by (apply halved_length; lia). unfold halved.
      rewrite leaves_of_added by (rewrite firstn_length, skipn_length; lia). now rewrite firstn_skipn.
  Qed.

  Lemma leaves_of_paired xs : all_leaves (paired Node xs) = all_leaves xs.
  Proof.
    induction xs as [xs IH] using (induction_ltof1 _ (@length (tree A))). unfold ltof in IH.
    destruct xs as [|x [|y rest]]; [easy|easy|]. cbn. rewrite IH by (cbn; lia). now rewrite app_assoc.
  Qed.

  Lemma leaves_of_paired_times n xs : all_leaves (paired_times Node n xs) = all_leaves xs.
  Proof. revert xs. induction n as [|n IH]; intros xs; cbn; [easy|]. now rewrite IH, leaves_of_paired. Qed.

  Lemma chunk_is_part xs i :
    map (fun j => nth (i * chunk_size + j) xs zero) (seq 0 chunk_size) =
    map (fun j => nth j xs zero) (seq (i * chunk_size) chunk_size).
  Proof. rewrite (seq_from (i * chunk_size)), map_map. reflexivity. Qed.

  Lemma chunks_together xs n first :
    concat (map (chunk zero xs) (seq first n)) =
    map (fun j => nth j xs zero) (seq (first * chunk_size) (n * chunk_size)).
  Proof.
    revert first. induction n as [|n IH]; intros first; [reflexivity|].
    cbn [seq map concat]. rewrite IH. unfold chunk. rewrite chunk_is_part, <- map_app.
    replace (S n * chunk_size) with (chunk_size + n * chunk_size) by lia. rewrite seq_app.
    replace (S first * chunk_size) with (first * chunk_size + chunk_size) by lia. reflexivity.
  Qed.

  Lemma all_elements xs n : length xs <= n ->
    map (fun j => nth j xs zero) (seq 0 n) = xs ++ repeat zero (n - length xs).
  Proof.
    intros enough. apply (nth_ext _ _ zero zero).
    - rewrite map_length, seq_length, app_length, repeat_length. lia.
    - rewrite map_length, seq_length. intros i there.
      rewrite (nth_indep _ zero (nth 0 xs zero)) by now rewrite map_length, seq_length.
      rewrite (map_nth (fun j => nth j xs zero)), seq_nth by assumption. symmetry. apply nth_with_zeros.
  Qed.

  Lemma leaves_of_chunk_sums xs :
    Permutation (all_leaves (chunk_sums Node (Leaf zero) (map Leaf xs))) (xs ++ filling zero xs).
  Proof.
    unfold filling. rewrite <- all_elements by apply chunks_cover.
    change 0 with (0 * chunk_size). rewrite <- chunks_together.
    unfold chunk_sums. rewrite map_length. generalize (seq 0 (chunks_of (length xs))) as numbers. intros numbers.
    induction numbers as [|i numbers IH]; [constructor|]. cbn [map flat_map concat].
    apply Permutation_app; [|exact IH]. unfold chunk_sum. rewrite leaves_of_fold by apply chunk_length.
    unfold chunk. rewrite flat_map_concat_map, map_map.
    replace (map _ _) with (map (fun x : A => [x]) (map (fun j => nth (i * chunk_size + j) xs zero) (seq 0 chunk_size))).
    - rewrite <- flat_map_concat_map. generalize (map (fun j => nth (i * chunk_size + j) xs zero) (seq 0 chunk_size)).
      intros ys. induction ys as [|y ys IHy]; [constructor|]. cbn. now constructor.
    - rewrite map_map. apply map_ext. intros j. now rewrite (map_nth Leaf).
  Qed.

  Theorem leaves_of_fixed_tree xs : xs <> [] -> Permutation (leaves (fixed_tree zero xs)) (xs ++ filling zero xs).
  Proof.
    intros some. rewrite <- leaves_of_chunk_sums. unfold fixed_tree, tree_sum.
    assert (any : chunk_sums Node (Leaf zero) (map Leaf xs) <> []).
    { intros none. apply some, length_zero_iff_nil. apply (f_equal (@length _)) in none.
      unfold chunk_sums in none. rewrite !map_length, seq_length in none.
      pose proof (chunks_cover (length xs)) as all. cbn [length] in none. rewrite none in all. lia. }
    revert any. generalize (chunk_sums Node (Leaf zero) (map Leaf xs)) as sums. intros sums any.
    rewrite <- (leaves_of_paired_times (length sums) sums).
    rewrite (one_sum_is_left Node (Leaf zero)) by (assumption || lia). cbn. now rewrite app_nil_r.
  Qed.
End Leaves.

Theorem sum_is_of_fixed_tree {A} (add : A -> A -> A) zero xs :
  tree_sum add zero xs = evaluated add (fixed_tree zero xs).
Proof.
  unfold fixed_tree. rewrite (f_tree_sum (evaluated add) Node add (Leaf zero) zero) by reflexivity.
  rewrite map_map. cbn [evaluated]. now rewrite map_id.
Qed.

Theorem shape {A} (zero a b c d e : A) :
  folded_by_halves Node (Leaf zero) 2 [Leaf a; Leaf b; Leaf c; Leaf d] =
    Node (Node (Leaf a) (Leaf c)) (Node (Leaf b) (Leaf d)) /\
  folded_by_pairs Node (Leaf zero) [Leaf a; Leaf b; Leaf c; Leaf d; Leaf e] =
    Node (Node (Node (Leaf a) (Leaf b)) (Node (Leaf c) (Leaf d))) (Leaf e).
Proof. now split. Qed.
