(** Lists as the reducer uses them: first faults, columns of rows, pieces. *)

From Coq Require Import ZArith List Bool Lia Permutation.
From MergeAlgebra.Definitions Require Import Reducer.
Import ListNotations.
Open Scope Z_scope.

(** * First faults *)

Lemma all_right {A B} (xs : list (A + B)) ys p : all_or_first p xs = inl ys -> xs = map inl ys.
Proof.
  revert ys p. induction xs as [|[x|f] rest IH]; cbn; intros ys p; try discriminate; [now intros [= <-]|].
  destruct (all_or_first (p + 1) rest) eqn:others; intros [= <-]. cbn. f_equal. eauto.
Qed.

Lemma all_right_back {A B} (ys : list A) p : all_or_first (B := B) p (map inl ys) = inl ys.
Proof. revert p. induction ys as [|y ys IH]; cbn; intros p; [reflexivity|]. now rewrite IH. Qed.

Lemma first_fault {A B} (xs : list (A + B)) p q f : all_or_first p xs = inr (q, f) ->
  exists ys rest, xs = map inl ys ++ inr f :: rest /\ q = p + Z.of_nat (length ys).
Proof.
  revert p. induction xs as [|[x|g] rest IH]; cbn; intros p; try discriminate.
  - destruct (all_or_first (p + 1) rest) as [|[q' f']] eqn:others; intros [= -> ->].
    apply IH in others as (ys & after & -> & ->). exists (x :: ys), after. split; [reflexivity|]. cbn. lia.
  - intros [= <- <-]. exists [], rest. split; [reflexivity|]. cbn. lia.
Qed.

Lemma first_fault_back {A B} (ys : list A) (f : B) rest p :
  all_or_first p (map inl ys ++ inr f :: rest) = inr (p + Z.of_nat (length ys), f).
Proof.
  revert p. induction ys as [|y ys IH]; cbn [map app all_or_first length]; intros p; [do 2 f_equal; cbn; lia|].
  rewrite IH. do 2 f_equal. lia.
Qed.

(** The first fault, coordinate by coordinate. *)
Lemma first_fault_nth {A B} (xs : list (A + B)) q f : all_or_first 0 xs = inr (q, f) ->
  exists i, q = Z.of_nat i /\ nth_error xs i = Some (inr f)
    /\ forall j, (j < i)%nat -> exists x, nth_error xs j = Some (inl x).
Proof.
  intros found. apply first_fault in found as (ys & rest & -> & ->). exists (length ys). repeat split.
  - rewrite nth_error_app2; rewrite map_length; [now rewrite Nat.sub_diag|lia].
  - intros j below. rewrite nth_error_app1 by now rewrite map_length. rewrite nth_error_map.
    destruct (nth_error ys j) as [y|] eqn:at_j; [now exists y|]. apply nth_error_None in at_j. lia.
Qed.

Lemma place_none {A} (p : A -> bool) xs n : place_of p n xs = None <-> forallb (fun x => negb (p x)) xs = true.
Proof.
  revert n. induction xs as [|x rest IH]; cbn; intros n; [easy|]. destruct (p x); cbn; [easy|apply IH].
Qed.

Lemma place_some {A} (p : A -> bool) xs q : place_of p 0 xs = Some q ->
  exists i x, q = Z.of_nat i /\ nth_error xs i = Some x /\ p x = true
    /\ forall j y, (j < i)%nat -> nth_error xs j = Some y -> p y = false.
Proof.
  enough (general : forall n, place_of p n xs = Some q ->
    exists i x, q = n + Z.of_nat i /\ nth_error xs i = Some x /\ p x = true
      /\ forall j y, (j < i)%nat -> nth_error xs j = Some y -> p y = false).
  { intros found. exact (general 0 found). }
  induction xs as [|x rest IH]; cbn; intros n; [discriminate|].
  destruct (p x) eqn:has.
  - intros [= <-]. exists 0%nat, x. repeat split; [cbn; lia|exact has|lia].
  - intros found. apply IH in found as (i & y & -> & at_i & hasy & before).
    exists (S i), y. repeat split; [lia|exact at_i|exact hasy|].
    intros [|j] z below; cbn; [now intros [= <-]|apply before; lia].
Qed.

(** * Zips *)

Lemma zip_nth {A B C} (f : A -> B -> C) xs ys i :
  nth_error (zip_with f xs ys) i =
  match nth_error xs i, nth_error ys i with Some x, Some y => Some (f x y) | _, _ => None end.
Proof.
  revert ys i. induction xs as [|x xs IH]; intros [|y ys] [|i]; cbn; try reflexivity; [|apply IH].
  now destruct (nth_error xs i).
Qed.

Lemma zip_length {A B C} (f : A -> B -> C) xs ys : length xs = length ys -> length (zip_with f xs ys) = length xs.
Proof. revert ys. induction xs as [|x xs IH]; intros [|y ys]; cbn; intros [=]; [reflexivity|]. f_equal. auto. Qed.

Lemma zip_map {A B C D} (f : A -> B -> C) (g : D -> A) (h : D -> B) ds :
  zip_with f (map g ds) (map h ds) = map (fun d => f (g d) (h d)) ds.
Proof. induction ds as [|d ds IH]; cbn; [reflexivity|]. now rewrite IH. Qed.

(** * Columns *)

Lemma columns_length {A} n (rows : list (list A)) :
  Forall (fun row => length row = n) rows -> length (columns n rows) = n.
Proof.
  unfold columns. induction 1 as [|row rows size _ IH]; cbn; [apply repeat_length|].
  rewrite zip_length; congruence.
Qed.

Lemma columns_nth {A} n (rows : list (list A)) d i : Forall (fun row => length row = n) rows -> (i < n)%nat ->
  nth_error (columns n rows) i = Some (map (fun row => nth i row d) rows).
Proof.
  intros sizes below. induction sizes as [|row rows size sizes IH]; cbn.
  - rewrite (nth_error_nth' _ []) by now rewrite repeat_length. now rewrite nth_repeat.
  - rewrite zip_nth, (nth_error_nth' row d) by congruence. unfold columns in IH. now rewrite IH.
Qed.

Lemma same_elements {A} (xs ys : list A) : (forall i, nth_error xs i = nth_error ys i) -> xs = ys.
Proof.
  revert ys. induction xs as [|x xs IH]; intros [|y ys] same; try reflexivity.
  - discriminate (same 0%nat).
  - discriminate (same 0%nat).
  - injection (same 0%nat) as ->. f_equal. apply IH. intros i. exact (same (S i)).
Qed.

Lemma columns_are {A} n (rows : list (list A)) d : Forall (fun row => length row = n) rows ->
  columns n rows = map (fun i => map (fun row => nth i row d) rows) (seq 0 n).
Proof.
  intros sizes. apply same_elements. intros i. destruct (Nat.lt_ge_cases i n) as [below|above].
  - rewrite (columns_nth _ _ d) by assumption. rewrite nth_error_map.
    rewrite (nth_error_nth' _ 0%nat) by now rewrite seq_length. cbn. now rewrite seq_nth.
  - transitivity (@None (list A)); [|symmetry]; apply nth_error_None.
    + now rewrite columns_length.
    + now rewrite map_length, seq_length.
Qed.

(** * Pieces *)

Lemma concat_cut_like {A B} (pieces : list (list A)) (xs : list B) : length xs = length (concat pieces) ->
  concat (cut_like pieces xs) = xs.
Proof.
  revert xs. induction pieces as [|piece rest IH]; cbn; intros xs size.
  - now destruct xs.
  - rewrite app_length in size. rewrite IH; [apply firstn_skipn|]. rewrite skipn_length. lia.
Qed.

Lemma nth_error_map_some {A B} (f : A -> B) xs i y : nth_error (map f xs) i = Some y ->
  exists x, nth_error xs i = Some x /\ y = f x.
Proof. rewrite nth_error_map. destruct (nth_error xs i) as [x|]; [intros [= <-]; eauto|discriminate]. Qed.
