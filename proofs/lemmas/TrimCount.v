(** Counting elements, and the m-th largest magnitude by counting. *)

From Coq Require Import ZArith List Bool Lia Permutation Sorting.Sorted RelationClasses.
From MergeAlgebra.Definitions Require Import Trim.
Import ListNotations.
Open Scope Z_scope.

(** * Counts *)

Lemma count_nonneg p xs : 0 <= count p xs.
Proof. induction xs as [|x xs IH]; cbn; [|destruct (p x)]; lia. Qed.

Lemma count_app p xs ys : count p (xs ++ ys) = count p xs + count p ys.
Proof. induction xs as [|x xs IH]; cbn; lia. Qed.

Lemma count_permutation p xs ys : Permutation xs ys -> count p xs = count p ys.
Proof. induction 1; cbn; lia. Qed.

Lemma count_map p f xs : count p (map f xs) = count (fun x => p (f x)) xs.
Proof. induction xs as [|x xs IH]; cbn; lia. Qed.

Lemma count_le p q xs : (forall x, In x xs -> p x = true -> q x = true) -> count p xs <= count q xs.
Proof.
  induction xs as [|x xs IH]; cbn; intros le; [lia|].
  assert (count p xs <= count q xs) by (apply IH; auto).
  specialize (le x (or_introl eq_refl)). destruct (p x); [rewrite le by reflexivity|destruct (q x)]; lia.
Qed.

Lemma count_ext p q xs : (forall x, In x xs -> p x = q x) -> count p xs = count q xs.
Proof. intros eq. apply Z.le_antisymm; apply count_le; intros x there; rewrite (eq x there); auto. Qed.

Lemma count_le_size p xs : count p xs <= size xs.
Proof. apply count_le. auto. Qed.

Lemma size_length xs : size xs = Z.of_nat (length xs).
Proof. unfold size. induction xs as [|x xs IH]; cbn [count length]; lia. Qed.

Lemma count_split (p q r : Z -> bool) xs :
  (forall x, (if p x then 1 else 0) = (if q x then 1 else 0) + (if r x then 1 else 0)) ->
  count p xs = count q xs + count r xs.
Proof. intros split. induction xs as [|x xs IH]; cbn; [|rewrite split]; lia. Qed.

Lemma count_firstn p n xs : count p (firstn n xs) <= count p xs.
Proof. rewrite <- (firstn_skipn n xs) at 2. rewrite count_app. pose proof (count_nonneg p (skipn n xs)). lia. Qed.

Lemma count_firstn_le p n k xs : (n <= k)%nat -> count p (firstn n xs) <= count p (firstn k xs).
Proof.
  intros le. replace n with (Nat.min n k) by lia. rewrite <- firstn_firstn. apply count_firstn.
Qed.

(** An element and those before it. *)
Lemma count_firstn_lt p i k xs :
  (i < length xs)%nat -> (i < k)%nat -> p (nth i xs 0) = true -> count p (firstn i xs) < count p (firstn k xs).
Proof.
  revert i k. induction xs as [|x xs IH]; intros i k there lt yes; cbn in there; [lia|].
  destruct k as [|k]; [lia|]. destruct i as [|i]; cbn [firstn count nth] in *.
  - rewrite yes. pose proof (count_nonneg p (firstn k xs)). lia.
  - assert (count p (firstn i xs) < count p (firstn k xs)) by (apply IH; [lia|lia|assumption]). lia.
Qed.

Lemma count_before p i xs :
  (i < length xs)%nat -> p (nth i xs 0) = true -> count p (firstn i xs) < count p xs.
Proof. intros there yes. rewrite <- (firstn_all xs) at 2. apply count_firstn_lt; assumption. Qed.

(** * Magnitudes *)

Ltac cases :=
  unfold at_least, above, tied, nonzero in *;
  repeat match goal with
  | |- context [?a <? ?b] => destruct (Z.ltb_spec a b)
  | |- context [?a <=? ?b] => destruct (Z.leb_spec a b)
  | |- context [?a =? ?b] => destruct (Z.eqb_spec a b)
  end; cbn [andb orb negb]; try discriminate; try lia.

Lemma at_least_split t xs : count (at_least t) xs = count (above t) xs + count (tied t) xs.
Proof. apply count_split. intros x. cases. Qed.

Lemma above_anti s t xs : s <= t -> count (above t) xs <= count (above s) xs.
Proof. intros le. apply count_le. intros x _. cases. Qed.

Lemma at_least_le_above s t xs : s < t -> count (at_least t) xs <= count (above s) xs.
Proof. intros lt. apply count_le. intros x _. cases. Qed.

Lemma above_le_at_least t xs : count (above t) xs <= count (at_least t) xs.
Proof. apply count_le. intros x _. cases. Qed.

Lemma above_zero xs : count (above 0) xs = count nonzero xs.
Proof. apply count_ext. intros x _. cases. Qed.

Lemma at_least_le_nonzero t xs : 0 < t -> count (at_least t) xs <= count nonzero xs.
Proof. intros pos. apply count_le. intros x _. cases. Qed.

(** * The m-th largest *)

Lemma ranked_permutation xs : Permutation (map Z.abs xs) (ranked xs).
Proof. apply DescendingSort.Permuted_sort. Qed.

Lemma ranked_sorted xs : StronglySorted (fun x y => y <= x) (ranked xs).
Proof.
  assert (sorted : StronglySorted (fun x y => is_true (Descending.leb x y)) (ranked xs)).
  { apply DescendingSort.StronglySorted_sort. intros x y z. unfold is_true, Descending.leb. rewrite !Z.leb_le. lia. }
  induction sorted as [|x rest _ IH first]; constructor; [exact IH|].
  revert first. apply Forall_impl. intros y. unfold is_true, Descending.leb. now rewrite Z.leb_le.
Qed.

Lemma count_none p xs : Forall (fun x => p x = false) xs -> count p xs = 0.
Proof. induction 1 as [|x xs no _ IH]; cbn; [|rewrite no]; lia. Qed.

Lemma pick_counts k xs :
  StronglySorted (fun x y => y <= x) xs -> 1 <= k <= size xs ->
  count (fun x => pick k xs <? x) xs < k <= count (fun x => pick k xs <=? x) xs /\ In (pick k xs) xs.
Proof.
  intros sorted. revert k. induction sorted as [|x rest sorted IH first]; intros k range; [cbn in range; lia|].
  change (size (x :: rest)) with (1 + size rest) in range. cbn [pick count].
  pose proof (count_nonneg (fun y => x <=? y) rest).
  destruct (Z.leb_spec k 1).
  - rewrite count_none; [split; [cases|now left]|].
    revert first. apply Forall_impl. intros y le. cases.
  - destruct (IH (k - 1)) as [counts there]; [lia|].
    assert (pick (k - 1) rest <= x) by (rewrite Forall_forall in first; auto).
    split; [cases|now right].
Qed.

Lemma pick_beyond k xs : size xs < k -> pick k xs = 0.
Proof.
  revert k. induction xs as [|x rest IH]; intros k far; cbn [pick]; [reflexivity|].
  change (size (x :: rest)) with (1 + size rest) in far.
  pose proof (count_nonneg (fun _ => true) rest). fold (size rest) in *.
  destruct (Z.leb_spec k 1); [lia|]. apply IH. lia.
Qed.

Lemma count_ranked p xs : count p (ranked xs) = count (fun x => p (Z.abs x)) xs.
Proof. rewrite <- (count_permutation p _ _ (ranked_permutation xs)). apply count_map. Qed.

Lemma size_ranked xs : size (ranked xs) = size xs.
Proof. apply count_ranked. Qed.

(** The threshold by counting, for every m from 1 on: it is 0 where fewer than m are not zero. *)
Lemma threshold_counts m xs : 1 <= m <= size xs ->
  count (above (threshold m xs)) xs < m <= count (at_least (threshold m xs)) xs.
Proof.
  intros range. pose proof (pick_counts m (ranked xs) (ranked_sorted xs)) as counts.
  rewrite size_ranked in counts. destruct (counts range) as [between _].
  rewrite !count_ranked in between. exact between.
Qed.

Lemma threshold_nonneg m xs : 1 <= m -> 0 <= threshold m xs.
Proof.
  intros pos. destruct (Z.le_gt_cases m (size xs)).
  - destruct (pick_counts m (ranked xs) (ranked_sorted xs)) as [_ there]; [rewrite size_ranked; lia|].
    apply (Permutation_in _ (Permutation_sym (ranked_permutation xs))) in there.
    apply in_map_iff in there as (x & eq & _). unfold threshold. lia.
  - unfold threshold. rewrite pick_beyond; [lia|]. rewrite size_ranked. lia.
Qed.

Lemma threshold_beyond m xs : size xs < m -> threshold m xs = 0.
Proof. intros far. apply pick_beyond. now rewrite size_ranked. Qed.

Lemma threshold_spec m xs : 1 <= m ->
  count (above (threshold m xs)) xs < m /\
  (threshold m xs = 0 \/ 0 < threshold m xs /\ m <= count (at_least (threshold m xs)) xs).
Proof.
  intros pos. pose proof (threshold_nonneg m xs pos).
  destruct (Z.le_gt_cases m (size xs)).
  - pose proof (threshold_counts m xs). lia.
  - rewrite threshold_beyond by assumption. pose proof (count_le_size (above 0) xs). lia.
Qed.

Lemma threshold_unique m xs t : 1 <= m <= size xs ->
  (t = threshold m xs <-> count (above t) xs < m <= count (at_least t) xs).
Proof.
  intros range. pose proof (threshold_counts m xs range) as counts. split; [intros ->; exact counts|].
  intros counts'. destruct (Z.lt_trichotomy t (threshold m xs)) as [lt|[eq|gt]]; [|exact eq|].
  - pose proof (at_least_le_above t (threshold m xs) xs lt). lia.
  - pose proof (at_least_le_above (threshold m xs) t xs gt). lia.
Qed.

(** Which elements lie above the threshold, below, at it: by how many are larger. *)
Lemma beaten_by_fewer m xs x : 1 <= m ->
  (threshold m xs <= Z.abs x <-> count (above (Z.abs x)) xs < m).
Proof.
  intros pos. destruct (threshold_spec m xs pos) as [over below]. split.
  - intros le. pose proof (above_anti _ _ xs le). lia.
  - intros fewer. destruct (Z.le_gt_cases (threshold m xs) (Z.abs x)) as [|lt]; [assumption|].
    pose proof (at_least_le_above _ _ xs lt). lia.
Qed.

(** * A bin of magnitudes *)

Lemma count_filter p q xs : count p (filter q xs) = count (fun x => q x && p x) xs.
Proof.
  induction xs as [|x xs IH]; cbn; [reflexivity|]. destruct (q x); cbn; lia.
Qed.

Lemma size_bin low high xs : low <= high ->
  size (filter (in_bin low high) xs) = count (at_least low) xs - count (above high) xs.
Proof.
  intros le. unfold size. rewrite count_filter.
  assert (split : count (at_least low) xs = count (above high) xs + count (fun x => in_bin low high x && true) xs).
  { apply count_split. intros x. unfold in_bin. cases. }
  lia.
Qed.

Lemma threshold_in_bin low high m xs : low <= high ->
  count (above high) xs < m <= count (at_least low) xs ->
  threshold m xs = threshold (m - count (above high) xs) (filter (in_bin low high) xs).
Proof.
  intros le range. set (inside := filter (in_bin low high) xs). set (k := m - count (above high) xs).
  pose proof (size_bin low high xs le) as size_inside. fold inside in size_inside.
  pose proof (threshold_counts k inside) as counts. set (t := threshold k inside) in *.
  symmetry. apply threshold_unique.
  - pose proof (count_nonneg (above high) xs). pose proof (count_le_size (at_least low) xs). lia.
  - assert (there : In t (map Z.abs inside)).
    { apply (Permutation_in _ (Permutation_sym (ranked_permutation inside))).
      apply (pick_counts k); [apply ranked_sorted|]. rewrite size_ranked. unfold k. lia. }
    apply in_map_iff in there as (x & magnitude & there). apply filter_In in there as [_ bin].
    assert (low <= t <= high).
    { revert bin. unfold in_bin, at_least, above. rewrite andb_true_iff, negb_true_iff, Z.leb_le, Z.ltb_ge. lia. }
    assert (over : count (above t) xs = count (above high) xs + count (above t) inside).
    { unfold inside. rewrite count_filter. apply count_split. intros y. unfold in_bin. cases. }
    assert (least : count (at_least t) xs = count (above high) xs + count (at_least t) inside).
    { unfold inside. rewrite count_filter. apply count_split. intros y. unfold in_bin. cases. }
    unfold k in counts. lia.
Qed.
