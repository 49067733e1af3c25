(** The fixed tree: one sum is left, blocks do not matter, and neither do zeros at the end. *)

From Coq Require Import List Arith Lia Permutation.
From MergeAlgebra.Definitions Require Import Floats FixedTree.
Open Scope nat_scope.
Import ListNotations.

Lemma chunk_size_positive : chunk_size <> 0.
Proof. apply Nat.pow_nonzero. discriminate. Qed.

Lemma chunks_of_more n elements : chunks_of (n * chunk_size + elements) = n + chunks_of elements.
Proof.
  unfold chunks_of. rewrite <- Nat.add_assoc. apply Nat.div_add_l, chunk_size_positive.
Qed.

Lemma chunks_of_0 : chunks_of 0 = 0.
Proof. apply Nat.div_small. pose proof chunk_size_positive. lia. Qed.

Lemma chunks_of_whole n : chunks_of (n * chunk_size) = n.
Proof. rewrite <- (Nat.add_0_r (n * chunk_size)), chunks_of_more, chunks_of_0. lia. Qed.

(** The chunks hold all elements, and fewer than one chunk more. *)
Lemma chunks_cover elements :
  elements <= chunks_of elements * chunk_size /\ chunks_of elements * chunk_size < elements + chunk_size.
Proof.
  unfold chunks_of. pose proof chunk_size_positive as positive.
  pose proof (Nat.div_mod (elements + (chunk_size - 1)) chunk_size positive) as split.
  pose proof (Nat.mod_upper_bound (elements + (chunk_size - 1)) chunk_size positive) as below.
  revert positive split below. generalize ((elements + (chunk_size - 1)) / chunk_size) as q.
  generalize ((elements + (chunk_size - 1)) mod chunk_size) as r. generalize chunk_size as c. nia.
Qed.

Lemma seq_from n count : seq n count = map (Nat.add n) (seq 0 count).
Proof.
  induction n as [|n IH]; [symmetry; apply map_id|].
  rewrite <- seq_shift, IH, map_map. reflexivity.
Qed.

Section Sums.
  Context {A : Type} (add : A -> A -> A) (zero : A).

  Notation chunk := (chunk zero).
  Notation chunk_sum := (chunk_sum add zero).
  Notation chunk_sums := (chunk_sums add zero).
  Notation paired := (paired add).
  Notation paired_times := (paired_times add).
  Notation folded_by_pairs := (folded_by_pairs add zero).
  Notation folded_by_halves := (folded_by_halves add zero).
  Notation tree_sum := (tree_sum add zero).

  (** * One is left *)

  Lemma paired_shortens xs n : length xs <= S (S n) -> length (paired xs) <= S n.
  Proof.
    revert n. induction xs as [xs IH] using (induction_ltof1 _ (@length A)). unfold ltof in IH.
    destruct xs as [|x [|y rest]]; cbn; [lia|lia|]. intros n few.
    destruct rest as [|z rest']; [cbn; lia|]. destruct n as [|n]; [cbn in few; lia|].
    specialize (IH (z :: rest')). cbn [length] in *. apply le_n_S, IH; lia.
  Qed.

  Lemma paired_is_none xs : paired xs = [] -> xs = [].
  Proof. now destruct xs as [|x [|y rest]]. Qed.

  Lemma paired_to_one n xs : xs <> [] -> length xs <= S n -> exists x, paired_times n xs = [x].
  Proof.
    revert xs. induction n as [|n IH]; intros xs some few.
    - destruct xs as [|x [|y rest]]; [now destruct some|now exists x|cbn in few; lia].
    - cbn. apply IH; [intros none; now apply some, paired_is_none|now apply paired_shortens].
  Qed.

  Lemma one_stays n x : paired_times n [x] = [x].
  Proof. now induction n. Qed.

  Lemma none_stays n : paired_times n [] = [].
  Proof. now induction n. Qed.

  Lemma paired_times_add m n xs : paired_times (m + n) xs = paired_times n (paired_times m xs).
  Proof. revert xs. induction m as [|m IH]; intros xs; [reflexivity|apply IH]. Qed.

  Theorem one_sum_is_left xs n : xs <> [] -> length xs <= n -> paired_times n xs = [folded_by_pairs xs].
  Proof.
    intros some enough. unfold folded_by_pairs.
    destruct (paired_to_one (length xs) xs some (le_S _ _ (le_n _))) as [x one].
    replace n with (length xs + (n - length xs)) by lia. rewrite paired_times_add, one. apply one_stays.
  Qed.

  (** * Blocks *)

  Lemma chunk_sum_of_later n block xs i : length block = n * chunk_size ->
    chunk_sum (block ++ xs) (n + i) = chunk_sum xs i.
  Proof.
    intros long. unfold chunk_sum, chunk. f_equal. apply map_ext. intros j.
    rewrite app_nth2 by lia. f_equal. lia.
  Qed.

  Lemma chunk_sum_of_earlier n block xs i : length block = n * chunk_size -> i < n ->
    chunk_sum (block ++ xs) i = chunk_sum block i.
  Proof.
    intros long there. unfold chunk_sum, chunk. f_equal. apply map_ext_in. intros j inside.
    apply in_seq in inside. apply app_nth1. nia.
  Qed.

  Lemma chunk_sums_app block xs : whole_chunks block -> chunk_sums (block ++ xs) = chunk_sums block ++ chunk_sums xs.
  Proof.
    intros [n long]. unfold chunk_sums. rewrite app_length, long, chunks_of_more, chunks_of_whole, seq_app, map_app.
    f_equal.
    - apply map_ext_in. intros i there. apply in_seq in there. apply (chunk_sum_of_earlier n); [assumption|lia].
    - rewrite seq_from, map_map. apply map_ext. intros i. now apply chunk_sum_of_later.
  Qed.

  Lemma chunk_sums_of_none : chunk_sums [] = [].
  Proof. unfold FixedTree.chunk_sums. cbn [length]. now rewrite chunks_of_0. Qed.

  Theorem chunk_sums_by_blocks blocks xs : in_blocks blocks xs -> block_sums add zero blocks = chunk_sums xs.
  Proof.
    intros [<- whole]. unfold block_sums. induction blocks as [|block blocks IH]; [symmetry; apply chunk_sums_of_none|].
    destruct blocks as [|next blocks]; [cbn [map concat]; now rewrite !app_nil_r|].
    change (removelast (block :: next :: blocks)) with (block :: removelast (next :: blocks)) in whole.
    inversion whole as [|? ? first others]. subst.
    change (concat (block :: next :: blocks)) with (block ++ concat (next :: blocks)).
    rewrite chunk_sums_app by assumption. cbn [map concat]. f_equal. now apply IH.
  Qed.

  Theorem sum_by_blocks blocks xs : in_blocks blocks xs -> folded_by_pairs (block_sums add zero blocks) = tree_sum xs.
  Proof. intros cut. unfold tree_sum. f_equal. now apply chunk_sums_by_blocks. Qed.

  (** * Workers *)

  Lemma find_numbered (sums : list (list A)) first i : i < length sums ->
    In (first + i, nth i sums []) (combine (seq first (length sums)) sums).
  Proof.
    revert first i. induction sums as [|s sums IH]; cbn; intros first [|i] there; [lia|lia|left; f_equal; lia|].
    right. replace (first + S i) with (S first + i) by lia. apply IH. lia.
  Qed.

  Lemma numbers_of (sums : list (list A)) : map fst (numbered sums) = seq 0 (length sums).
  Proof.
    unfold numbered. generalize 0 as first. induction sums as [|s sums IH]; intros first; [reflexivity|].
    cbn. f_equal. apply IH.
  Qed.

  Lemma answer_is (answers : list (nat * list A)) i sum : NoDup (map fst answers) -> In (i, sum) answers -> answer answers i = sum.
  Proof.
    unfold answer. induction answers as [|[j other] answers IH]; cbn; intros once there; [easy|].
    inversion once as [|? ? new once']. subst. destruct (Nat.eqb_spec j i) as [->|different].
    - destruct there as [same|there]; [congruence|]. destruct new. now apply (in_map fst) in there.
    - apply IH; [assumption|]. destruct there as [same|there]; [congruence|assumption].
  Qed.

  Lemma sums_in_order (sums : list (list A)) answers : Permutation answers (numbered sums) -> in_order answers = sums.
  Proof.
    intros same. unfold in_order. rewrite (Permutation_length same).
    replace (length (numbered sums)) with (length sums)
      by (rewrite <- (map_length fst), numbers_of; now rewrite seq_length).
    apply (nth_ext _ _ [] []); rewrite map_length, seq_length; [reflexivity|]. intros i there.
    rewrite (nth_indep _ [] (answer answers 0)) by now rewrite map_length, seq_length.
    rewrite map_nth, seq_nth by assumption. apply answer_is.
    - apply (Permutation_NoDup (l := seq 0 (length sums))); [|apply seq_NoDup].
      rewrite <- numbers_of. now apply Permutation_map, Permutation_sym.
    - apply (Permutation_in _ (Permutation_sym same)). now apply (find_numbered sums 0).
  Qed.

  Theorem answers_in_any_order blocks xs answers :
    in_blocks blocks xs -> Permutation answers (numbered (map chunk_sums blocks)) ->
    folded_by_pairs (concat (in_order answers)) = tree_sum xs.
  Proof. intros cut same. rewrite (sums_in_order _ _ same). now apply sum_by_blocks. Qed.

  (** * Halves *)

  Lemma added_length xs ys : length xs = length ys -> length (added add xs ys) = length xs.
  Proof. revert ys. induction xs as [|x xs IH]; intros [|y ys] [=]; cbn; [easy|]. f_equal. now apply IH. Qed.

  Lemma halved_length w xs : length xs = w + w -> length (halved add w xs) = w.
  Proof.
    intros long. unfold halved. rewrite added_length; rewrite firstn_length, ?skipn_length; lia.
  Qed.

  Lemma chunk_length xs i : length (chunk xs i) = 2 ^ halvings.
  Proof. unfold chunk. now rewrite map_length, seq_length. Qed.

  (** * Zeros at the end *)

  Section Zeros.
    Context (good : A -> Prop) (zero_is_good : good zero) (add_is_good : forall x y, good x -> good y -> good (add x y))
      (add_zero : forall x, good x -> add x zero = x).

    Lemma added_zeros n : added add (repeat zero n) (repeat zero n) = repeat zero n.
    Proof. induction n as [|n IH]; cbn; [reflexivity|]. now rewrite add_zero, IH. Qed.

    Lemma fold_of_zeros n : folded_by_halves n (repeat zero (2 ^ n)) = zero.
    Proof.
      induction n as [|n IH]; [reflexivity|]. cbn [folded_by_halves].
      replace (2 ^ S n) with (2 ^ n + 2 ^ n) by (cbn; lia). unfold halved.
      rewrite repeat_app, firstn_app, skipn_app, repeat_length, Nat.sub_diag.
      rewrite firstn_all2, skipn_all2 by now rewrite repeat_length. cbn [firstn skipn app].
      now rewrite app_nil_r, added_zeros.
    Qed.

    Lemma added_is_good xs ys : Forall good xs -> Forall good ys -> Forall good (added add xs ys).
    Proof.
      intros all. revert ys. induction all as [|x xs here _ IH]; intros ys; [constructor|].
      intros [|y ys' there all']; constructor; auto.
    Qed.

    Lemma part_is_good xs ys : Forall good (xs ++ ys) -> Forall good xs /\ Forall good ys.
    Proof. apply Forall_app. Qed.

    Lemma fold_is_good n xs : Forall good xs -> good (folded_by_halves n xs).
    Proof.
      revert xs. induction n as [|n IH]; intros xs all; cbn; [now destruct all|].
      apply IH. unfold halved. rewrite <- (firstn_skipn (2 ^ n) xs) in all. apply Forall_app in all as [left right].
      now apply added_is_good.
    Qed.

    Lemma nth_with_zeros xs n i : nth i (xs ++ repeat zero n) zero = nth i xs zero.
    Proof.
      destruct (Nat.lt_ge_cases i (length xs)) as [inside|beyond]; [now apply app_nth1|].
      rewrite app_nth2, nth_repeat by assumption. symmetry. now apply nth_overflow.
    Qed.

    Lemma chunk_sum_with_zeros xs n i : chunk_sum (xs ++ repeat zero n) i = chunk_sum xs i.
    Proof. unfold chunk_sum, chunk. f_equal. apply map_ext. intros j. apply nth_with_zeros. Qed.

    Lemma chunk_sum_beyond xs i : chunks_of (length xs) <= i -> chunk_sum xs i = zero.
    Proof.
      intros beyond. unfold chunk_sum, chunk. pose proof (chunks_cover (length xs)) as all.
      replace (map _ _) with (repeat zero chunk_size); [apply fold_of_zeros|].
      rewrite (map_ext_in _ (fun _ => zero)).
      - generalize 0 as first. generalize chunk_size as count.
        induction count as [|count IH]; intros first; [reflexivity|]. cbn. f_equal. apply IH.
      - intros j inside. apply nth_overflow. nia.
    Qed.

    Lemma chunk_sums_with_zeros xs n : exists m, chunk_sums (xs ++ repeat zero n) = chunk_sums xs ++ repeat zero m.
    Proof.
      unfold chunk_sums. rewrite app_length, repeat_length.
      assert (more : chunks_of (length xs) <= chunks_of (length xs + n)).
      { unfold chunks_of. apply Nat.div_le_mono; [apply chunk_size_positive|lia]. }
      exists (chunks_of (length xs + n) - chunks_of (length xs)).
      replace (chunks_of (length xs + n)) with
        (chunks_of (length xs) + (chunks_of (length xs + n) - chunks_of (length xs))) at 1 by lia.
      generalize (chunks_of (length xs + n) - chunks_of (length xs)) as m. intros m.
      rewrite seq_app, map_app. f_equal.
      - apply map_ext. intros i. apply chunk_sum_with_zeros.
      - rewrite seq_from, map_map. cbn [Nat.add].
        rewrite (map_ext _ (fun _ => zero)).
        + generalize 0 as first. induction m as [|m IH]; intros first; [reflexivity|]. cbn. f_equal. apply IH.
        + intros i. rewrite chunk_sum_with_zeros. apply chunk_sum_beyond. lia.
    Qed.

    Lemma chunk_sums_are_good xs : Forall good xs -> Forall good (chunk_sums xs).
    Proof.
      intros all. apply Forall_forall. intros sum there. apply in_map_iff in there as (i & <- & _).
      apply fold_is_good, Forall_forall. intros x there. apply in_map_iff in there as (j & <- & _).
      rewrite Forall_forall in all. destruct (nth_in_or_default (i * chunk_size + j) xs zero) as [there| ->]; auto.
    Qed.

    Lemma paired_zeros n : exists m, paired (repeat zero n) = repeat zero m.
    Proof.
      induction n as [n IH] using lt_wf_ind. destruct n as [|[|n]]; [now exists 0|now exists 1|].
      destruct (IH n) as [m zeros]; [lia|]. exists (S m). cbn. now rewrite add_zero, zeros.
    Qed.

    Lemma paired_with_zeros xs n : Forall good xs ->
      exists m, paired (xs ++ repeat zero n) = paired xs ++ repeat zero m.
    Proof.
      induction xs as [xs IH] using (induction_ltof1 _ (@length A)). unfold ltof in IH. intros all.
      destruct all as [|x xs here [|y rest there all]]; [apply paired_zeros| |].
      - destruct n as [|n]; [now exists 0|]. cbn. destruct (paired_zeros n) as [m zeros]. exists m.
        now rewrite add_zero, zeros.
      - destruct (IH rest) as [m zeros]; [cbn; lia|assumption|]. exists m. cbn. now rewrite zeros.
    Qed.

    Lemma paired_is_good xs : Forall good xs -> Forall good (paired xs).
    Proof.
      induction xs as [xs IH] using (induction_ltof1 _ (@length A)). unfold ltof in IH. intros all.
      destruct all as [|x xs here [|y rest there all]]; [constructor|now repeat constructor|].
      constructor; [auto|]. apply IH; [cbn; lia|assumption].
    Qed.

    Lemma paired_times_with_zeros k xs n : Forall good xs ->
      exists m, paired_times k (xs ++ repeat zero n) = paired_times k xs ++ repeat zero m.
    Proof.
      revert xs n. induction k as [|k IH]; intros xs n all; [now exists n|]. cbn.
      destruct (paired_with_zeros xs n all) as [m ->]. now apply IH, paired_is_good.
    Qed.

    Theorem zeros_change_nothing xs n : Forall good xs -> tree_sum (xs ++ repeat zero n) = tree_sum xs.
    Proof.
      intros all. unfold tree_sum. destruct (chunk_sums_with_zeros xs n) as [m ->].
      apply chunk_sums_are_good in all. revert all. generalize (chunk_sums xs) as sums. intros sums all.
      unfold folded_by_pairs at 1. set (k := length (sums ++ repeat zero m)).
      destruct (paired_times_with_zeros k sums m all) as [z ->].
      destruct sums as [|s sums]; [rewrite none_stays; unfold folded_by_pairs; cbn; now destruct z|].
      rewrite one_sum_is_left; [reflexivity|discriminate|]. unfold k. rewrite app_length. lia.
    Qed.
  End Zeros.
End Sums.
