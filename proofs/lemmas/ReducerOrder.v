(** The order in which contributions are given, and which error is named. *)

From Coq Require Import ZArith List Bool Lia Permutation.
From MergeAlgebra.Definitions Require Import Bits Rounding Reducer ReducerModel.
From MergeAlgebra.Definitions Require Ties.
From MergeAlgebra.Lemmas Require Import ReducerLists ReducerCoordinate ReducerWhole.
From MergeAlgebra.Lemmas Require TiesSums CountingSums.
Import ListNotations.
Open Scope Z_scope.

(** * Outcomes without places *)

Definition unplaced_outcome {A} (o : A + fault) : A + fault :=
  match o with inl x => inl x | inr f => inr (unplaced_fault f) end.

Lemma all_or_first_unplaced {A} (xs : list (A + fault)) p :
  all_or_first p (map unplaced_outcome xs) =
  match all_or_first p xs with inl ys => inl ys | inr (q, f) => inr (q, unplaced_fault f) end.
Proof.
  revert p. induction xs as [|[x|f] rest IH]; cbn; intros p; try reflexivity.
  rewrite IH. now destruct (all_or_first (p + 1) rest) as [|[]].
Qed.

Lemma same_outcomes {A} (f g : nat -> A + fault) indices : (forall i, unplaced_outcome (f i) = unplaced_outcome (g i)) ->
  match all_or_first 0 (map f indices) with inl ys => inl ys | inr (q, x) => inr (q, unplaced_fault x) end =
  match all_or_first 0 (map g indices) with inl ys => inl ys | inr (q, x) => inr (q, unplaced_fault x) end.
Proof.
  intros same. rewrite <- !all_or_first_unplaced, !map_map. f_equal. now apply map_ext.
Qed.

(** * Permutations *)

Lemma forallb_permutation {A} (p : A -> bool) xs ys : Permutation xs ys -> forallb p xs = forallb p ys.
Proof.
  induction 1 as [|x xs ys _ IH|x y xs|xs ys zs _ IH1 _ IH2]; cbn; [reflexivity| | |congruence].
  - now rewrite IH.
  - now rewrite !andb_assoc, (andb_comm (p x)).
Qed.

Lemma place_permutation {A} (p : A -> bool) xs ys n : Permutation xs ys ->
  (place_of p n xs = None <-> place_of p n ys = None).
Proof. intros perm. rewrite !place_none. now rewrite (forallb_permutation _ _ _ perm). Qed.

Lemma sums_permutation m xs ys : Permutation xs ys -> sums m xs = sums m ys.
Proof.
  intros perm. destruct (TiesSums.sums_permutation _ _ perm) as [mean arithmetic]. destruct m; cbn [sums].
  - now rewrite (TiesSums.aggregate_of_permutation _ _ perm).
  - exact mean.
  - now rewrite arithmetic.
  - now apply CountingSums.linear_permutation.
  - now apply CountingSums.negmerge_permutation.
  - now apply CountingSums.ram_permutation.
Qed.

Lemma coordinate_permutation m l b xs ys : Permutation xs ys ->
  unplaced_outcome (coordinate m l b xs) = unplaced_outcome (coordinate m l b ys).
Proof.
  intros perm. unfold coordinate. pose proof (place_permutation overflowed _ _ 0 perm) as same.
  destruct (place_of overflowed 0 xs), (place_of overflowed 0 ys);
    [reflexivity|discriminate (proj2 same eq_refl)|discriminate (proj1 same eq_refl)|].
  replace (tau_m m (map vote_of xs)) with (tau_m m (map vote_of ys)); [reflexivity|].
  unfold tau_m. now rewrite (sums_permutation m _ _ (Permutation_map vote_of perm)).
Qed.

Lemma taus_permutation xs ys : Permutation xs ys ->
  unplaced_outcome (fault_of_taus xs) = unplaced_outcome (fault_of_taus ys).
Proof.
  intros perm. unfold fault_of_taus. pose proof (place_permutation is_not_finite _ _ 0 perm) as same.
  destruct (place_of is_not_finite 0 xs), (place_of is_not_finite 0 ys);
    [reflexivity|discriminate (proj2 same eq_refl)|discriminate (proj1 same eq_refl)|reflexivity].
Qed.

(** * Copies *)

Lemma known_in x column : In x (known column) <-> In (Known x) column.
Proof.
  unfold known. rewrite in_flat_map. split.
  - intros ([| |bits] & member & is); cbn in is; try contradiction. now destruct is as [->|[]].
  - intros member. exists (Known x). split; [exact member|now left].
Qed.

Lemma alike_is column x y : forallb (is_or_lacks x) column = true -> In y (known column) -> y = x.
Proof.
  rewrite forallb_forall. intros all member%known_in. apply Z.eqb_eq. exact (all _ member).
Qed.

Lemma head_member (b : Z) xs : xs <> [] -> In (hd b xs) xs.
Proof. destruct xs; [contradiction|now left]. Qed.

Lemma copied_permutation x xs ys : Permutation xs ys -> copied x xs = copied x ys.
Proof.
  intros perm. assert (knowns : Permutation (known xs) (known ys)) by now apply Permutation_flat_map.
  unfold copied. destruct (known xs) as [|a rest] eqn:of_xs.
  - apply Permutation_nil in knowns. rewrite knowns. cbn [hd]. now rewrite (forallb_permutation _ _ _ perm).
  - assert (of_ys : known ys <> []).
    { intros none. rewrite none in knowns. apply Permutation_sym, Permutation_nil in knowns. discriminate. }
    set (a' := hd (fst x) (known ys)). assert (there : In a' (known ys)) by now apply head_member.
    assert (here : In a (known xs)) by (rewrite of_xs; now left). cbn [hd].
    destruct (Z.eqb_spec a' a) as [->|differ]; [now rewrite (forallb_permutation _ _ _ perm)|].
    destruct (forallb (is_or_lacks a) xs) eqn:all.
    + contradiction differ. apply (alike_is xs); [exact all|]. rewrite of_xs. now apply (Permutation_in a' (Permutation_sym knowns)).
    + destruct (forallb (is_or_lacks a') ys) eqn:all'; [|reflexivity].
      contradiction differ. symmetry. apply (alike_is ys); [exact all'|]. apply (Permutation_in a knowns). now left.
Qed.

Lemma zip_with_same {A B C} (f : A -> B -> C) (g h : nat -> B) xs indices : (forall x i, f x (g i) = f x (h i)) ->
  zip_with f xs (map g indices) = zip_with f xs (map h indices).
Proof.
  intros same. revert xs. induction indices as [|i rest IH]; intros [|x xs]; cbn; try reflexivity. now rewrite same, IH.
Qed.

(** * Requests *)

Definition with_contributions (r : request) (cs : list contribution) : request :=
  Request (how r) (lambda_bits r) (base r) cs.

Definition is_usable (m : method) (c : contribution) : bool :=
  match usable m (coefficient_bits c) with Some _ => true | None => false end.

Lemma coefficients_are r : (exists cs, coefficients r = inl cs) <-> forallb (is_usable (how r)) (contributions r) = true.
Proof.
  unfold coefficients. generalize 0 as p. induction (contributions r) as [|c rest IH]; cbn; intros p; [split; eauto|].
  unfold is_usable at 1. destruct (usable _ _) as [n|]; cbn; [|split; [intros [? [=]]|discriminate]].
  rewrite <- (IH (p + 1)). destruct (all_or_first (p + 1) _) as [cs|[]]; split; intros [? found]; try discriminate; eauto.
Qed.

Lemma ready_permutation r cs l : Permutation (contributions r) cs -> ready r l -> ready (with_contributions r cs) l.
Proof.
  intros perm (lambda & fit & some & usables). unfold ready. cbn. repeat split; [exact lambda| | |].
  - now rewrite <- (forallb_permutation _ _ _ perm).
  - intros ->. apply Permutation_sym, Permutation_nil in perm. contradiction.
  - rewrite Forall_forall in *. intros c member. apply usables. now apply (Permutation_in c (Permutation_sym perm)).
Qed.

Lemma finished_permutation r cs bits : forallb (fits (base r)) (contributions r) = true -> Permutation (contributions r) cs ->
  finished r bits = finished (with_contributions r cs) bits.
Proof.
  intros fit perm. unfold finished. cbn [how base contributions with_contributions].
  destruct (on_theta (how r)); [|reflexivity]. rewrite map_length. fold (size_of r).
  rewrite own_columns by exact fit. pose proof (own_columns (with_contributions r cs)) as theirs.
  change (size_of (with_contributions r cs)) with (size_of r) in theirs.
  cbn [base contributions with_contributions] in theirs.
  rewrite theirs by now rewrite <- (forallb_permutation _ _ _ perm).
  apply zip_with_same. intros x i. now apply copied_permutation, Permutation_map.
Qed.

Lemma ready_same r cs l : Permutation (contributions r) cs -> ready r l ->
  unplaced (reduce r) = unplaced (reduce (with_contributions r cs)).
Proof.
  intros perm checked. rewrite (reduce_ready _ _ checked), (reduce_ready _ _ (ready_permutation _ _ _ perm checked)).
  change (size_of (with_contributions r cs)) with (size_of r).
  pose proof (same_outcomes (fun i => fault_of_taus (elements_at r i))
                (fun i => fault_of_taus (elements_at (with_contributions r cs) i)) (seq 0 (size_of r))) as taus.
  pose proof (same_outcomes (outcome_at r l) (outcome_at (with_contributions r cs) l) (seq 0 (size_of r))) as outcomes.
  specialize (taus (fun i => taus_permutation _ _ (Permutation_map _ perm))).
  specialize (outcomes (fun i => coordinate_permutation _ _ _ _ _ (Permutation_map _ perm))).
  destruct (all_or_first 0 (map (fun i => fault_of_taus (elements_at r i)) _)) as [|[]],
    (all_or_first 0 (map (fun i => fault_of_taus (elements_at (with_contributions r cs) i)) _)) as [|[]]; try discriminate;
    [|cbn; congruence].
  destruct (all_or_first 0 (map (outcome_at r l) _)) as [|[]],
    (all_or_first 0 (map (outcome_at (with_contributions r cs) l) _)) as [|[]]; try discriminate; cbn; [|congruence].
  injection outcomes as ->. rewrite (finished_permutation r cs); [reflexivity|apply checked|exact perm].
Qed.

Lemma reduce_permutation r cs : Permutation (contributions r) cs ->
  unplaced (reduce r) = unplaced (reduce (with_contributions r cs)).
Proof.
  intros perm.
  destruct (numerator (of_bits F32 (lambda_bits r))) as [l|] eqn:lambda; [|unfold reduce; cbn; now rewrite lambda].
  destruct (forallb (fits (base r)) (contributions r)) eqn:fit;
    [|unfold reduce; cbn; now rewrite lambda, <- (forallb_permutation _ _ _ perm), fit].
  pose proof (coefficients_are r) as mine. pose proof (coefficients_are (with_contributions r cs)) as theirs.
  cbn in theirs. rewrite <- (forallb_permutation _ _ _ perm) in theirs.
  destruct (coefficients r) as [ns|[place u]] eqn:found.
  - destruct (contributions r) as [|c rest] eqn:some.
    + apply Permutation_nil in perm. subst cs. unfold with_contributions. rewrite <- some. now destruct r.
    + rewrite <- some in perm. apply coefficients_usable in found as [_ all].
      apply (ready_same r cs l perm). repeat split; try assumption; congruence.
  - destruct (coefficients (with_contributions r cs)) as [ns|[place' u']] eqn:others.
    + exfalso. destruct (proj2 mine) as [? [=]]. apply theirs. eauto.
    + unfold reduce. cbn. cbn in others. rewrite lambda, <- (forallb_permutation _ _ _ perm), fit, found.
      unfold with_contributions in others. now rewrite others.
Qed.

(** * Which error is named *)

Lemma nth_seq_outcome {A} (f : nat -> A) n i x : nth_error (map f (seq 0 n)) i = Some x -> (i < n)%nat /\ f i = x.
Proof.
  intros found. apply nth_error_map_some in found as (k & at_k & ->).
  assert (below : (i < n)%nat) by (rewrite <- (seq_length n 0); apply nth_error_Some; congruence).
  apply nth_error_nth with (d := 0%nat) in at_k. rewrite seq_nth in at_k by exact below. now subst k.
Qed.

Lemma named r position what : reduce r = NotFiniteAt position what ->
  exists l i, ready r l /\ position = Z.of_nat i /\ (i < size_of r)%nat /\
  ((fault_of_taus (elements_at r i) = inr what
    /\ forall j, (j < i)%nat -> fault_of_taus (elements_at r j) = inl tt)
   \/ ((forall j, (j < size_of r)%nat -> fault_of_taus (elements_at r j) = inl tt)
       /\ outcome_at r l i = inr what
       /\ forall j, (j < i)%nat -> exists bits, outcome_at r l j = inl bits)).
Proof.
  intros refused. assert (exists l, ready r l) as [l checked] by (apply about_numbers; eauto).
  rewrite (reduce_ready _ _ checked) in refused. exists l.
  destruct (all_or_first 0 (map (fun i => fault_of_taus _) _)) as [none|[q f]] eqn:taus.
  - destruct (all_or_first 0 (map (outcome_at r l) _)) as [|[q f]] eqn:found; [discriminate|].
    injection refused as <- <-. apply first_fault_nth in found as (i & -> & at_i & before). exists i.
    apply nth_seq_outcome in at_i as [below here]. repeat split; try assumption; try apply checked.
    right. repeat split; [|exact here|].
    + apply all_right in taus. intros j inside.
      assert (at_j : nth_error (map (fun i => fault_of_taus (elements_at r i)) (seq 0 (size_of r))) j
                     = nth_error (map inl none) j) by now rewrite taus.
      rewrite nth_error_map, (nth_error_nth' _ 0%nat), seq_nth in at_j by (rewrite ?seq_length; exact inside).
      cbn in at_j. symmetry in at_j. apply nth_error_map_some in at_j as ([] & _ & ->). reflexivity.
    + intros j less. destruct (before j less) as [bits at_j]. apply nth_seq_outcome in at_j as [_ at_j]. eauto.
  - injection refused as <- <-. apply first_fault_nth in taus as (i & -> & at_i & before). exists i.
    apply nth_seq_outcome in at_i as [below here]. repeat split; try assumption; try apply checked.
    left. split; [exact here|]. intros j less. destruct (before j less) as [[] at_j].
    now apply nth_seq_outcome in at_j as [_ at_j].
Qed.
