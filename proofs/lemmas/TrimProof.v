(** A threshold that the code proves by counting keeps what trim keeps; blocks add up. *)

From Coq Require Import ZArith List Bool Lia.
From MergeAlgebra.Definitions Require Import Trim.
From MergeAlgebra.Lemmas Require Import TrimCount TrimLaws.
Import ListNotations.
Open Scope Z_scope.

(** * Cutting at a position *)

Lemma cut_nowhere t position xs : position <= 0 -> cut_before t position xs = keep_first t 0 xs.
Proof.
  revert position. induction xs as [|x xs IH]; intros position none; cbn [cut_before keep_first]; [reflexivity|].
  rewrite (IH (position - 1)) by lia. replace (0 <? position) with false by cases.
  cbn [Z.ltb Z.compare]. rewrite andb_false_r. now destruct (above t x).
Qed.

(** Cutting before a position keeps so many ties as lie before it. *)
Lemma cut_before_keep_first t position xs :
  cut_before t position xs = keep_first t (count (tied t) (firstn (Z.to_nat position) xs)) xs.
Proof.
  revert position. induction xs as [|x xs IH]; intros position; [reflexivity|].
  destruct (Z.le_gt_cases position 0) as [none|some].
  - replace (Z.to_nat position) with 0%nat by lia. now apply cut_nowhere.
  - replace (Z.to_nat position) with (S (Z.to_nat (position - 1))) by lia.
    cbn [cut_before keep_first firstn count]. rewrite IH.
    pose proof (count_nonneg (tied t) (firstn (Z.to_nat (position - 1)) xs)).
    replace (0 <? position) with true by cases. rewrite andb_true_r.
    assert (once : above t x = true -> tied t x = false) by cases.
    destruct (above t x); [now rewrite once|].
    destruct (tied t x); cbn [orb andb]; [|reflexivity].
    set (n := count (tied t) (firstn (Z.to_nat (position - 1)) xs)) in *.
    replace (0 <? 1 + n) with true by cases. do 2 f_equal. lia.
Qed.

Lemma keep_first_all t ties xs : count (tied t) xs <= ties -> keep_first t ties xs = keep_all t xs.
Proof.
  revert ties. induction xs as [|x xs IH]; intros ties enough; [reflexivity|].
  unfold keep_all. cbn [keep_first map count] in *. fold (keep_all t xs).
  pose proof (count_nonneg (tied t) xs).
  destruct (above t x) eqn:over.
  - rewrite IH by (revert over enough; cases). replace (at_least t x) with true; [reflexivity|].
    symmetry. revert over. cases.
  - destruct (tied t x) eqn:tie; cbn [andb].
    + replace (0 <? ties) with true by cases. rewrite IH by lia. replace (at_least t x) with true; [reflexivity|].
      symmetry. revert tie. cases.
    + rewrite IH by lia. replace (at_least t x) with false; [reflexivity|]. symmetry. revert over tie. cases.
Qed.

(** * The code's proof *)

Lemma kept_of_cut t ties xs : 0 < t -> 0 <= ties <= count (tied t) xs ->
  count nonzero (keep_first t ties xs) = count (above t) xs + ties.
Proof. intros pos range. rewrite keep_first_count by assumption. lia. Qed.

Lemma holds_sound rule m t cut xs : 1 <= m -> 1 <= t ->
  holds t (is_cut cut) rule m (count nonzero (keep t cut xs)) (count (above t) xs) = true ->
  keep t cut xs = trim rule m xs.
Proof.
  intros pos least. unfold holds.
  destruct (Z.leb_spec m (count (above t) xs)) as [|over]; [discriminate|].
  assert (found : m <= count (at_least t) xs -> t = threshold m xs).
  { intros enough. apply threshold_unique; [|lia]. pose proof (count_le_size (at_least t) xs). lia. }
  destruct cut as [position|]; cbn [is_cut keep].
  - destruct rule; [discriminate|]. rewrite cut_before_keep_first.
    pose proof (count_firstn (tied t) (Z.to_nat position) xs).
    pose proof (count_nonneg (tied t) (firstn (Z.to_nat position) xs)).
    set (ties := count (tied t) (firstn (Z.to_nat position) xs)) in *.
    rewrite kept_of_cut by lia. intros exact%Z.eqb_eq. unfold trim. rewrite <- found by (rewrite at_least_split; lia).
    f_equal. lia.
  - rewrite keep_all_count_pos by lia. destruct (Z.ltb_spec (count (at_least t) xs) m) as [few|enough].
    + intros one%Z.eqb_eq. subst t. rewrite keep_all_one_or_less by lia. symmetry. apply few_nonzeros; [assumption|].
      assert (count nonzero xs <= count (at_least 1) xs) by (apply count_le; intros x _; cases). lia.
    + unfold trim. rewrite <- found by assumption. destruct rule; [reflexivity|].
      intros exact%Z.eqb_eq. symmetry. apply keep_first_all. rewrite at_least_split in exact. lia.
Qed.

Lemma boundaries_agree m xs : 1 <= m ->
  count nonzero (trim KeepAll m xs) <= m -> trim LowestIndex m xs = trim KeepAll m xs.
Proof.
  intros pos. unfold trim. destruct (threshold_spec m xs pos) as [over [zero|[some below]]].
  - intros _. rewrite zero, keep_first_zero, keep_all_one_or_less by lia. reflexivity.
  - rewrite keep_all_count_pos, at_least_split by assumption. intros few. apply keep_first_all. lia.
Qed.

(** A position before which lie as many ties as one likes. *)
Lemma position_of_ties t ties xs : 0 <= ties <= count (tied t) xs ->
  exists position, 0 <= position /\ count (tied t) (firstn (Z.to_nat position) xs) = ties.
Proof.
  revert ties. induction xs as [|x xs IH]; intros ties range; cbn [count] in range.
  - exists 0. cbn in *. lia.
  - destruct (Z.eq_dec ties 0) as [->|some]; [exists 0; cbn; lia|].
    destruct (IH (ties - (if tied t x then 1 else 0))) as (position & least & eq).
    { destruct (tied t x); lia. }
    exists (1 + position). split; [lia|]. replace (Z.to_nat (1 + position)) with (S (Z.to_nat position)) by lia.
    cbn [firstn count]. lia.
Qed.

Lemma holds_complete rule m xs : 1 <= m ->
  let t := Z.max 1 (threshold m xs) in
  exists cut, holds t (is_cut cut) rule m (count nonzero (keep t cut xs)) (count (above t) xs) = true.
Proof.
  intros pos. cbv zeta. destruct (threshold_spec m xs pos) as [over [zero|[some below]]].
  - exists None. rewrite zero in *. replace (Z.max 1 0) with 1 by lia. cbn [is_cut keep].
    pose proof (at_least_le_above 0 1 xs ltac:(lia)). pose proof (above_le_at_least 1 xs).
    unfold holds. rewrite keep_all_count_pos by lia.
    replace (m <=? count (above 1) xs) with false by cases.
    replace (count (at_least 1) xs <? m) with true by cases. reflexivity.
  - rewrite Z.max_r by lia. set (t := threshold m xs) in *.
    assert (up : m <=? count (above t) xs = false) by cases.
    destruct rule; [|destruct (Z.eq_dec (count (at_least t) xs) m) as [exact|more]].
    + exists None. unfold holds. cbn [is_cut keep]. rewrite up, keep_all_count_pos by assumption. cases.
    + exists None. unfold holds. cbn [is_cut keep]. rewrite up, keep_all_count_pos by assumption. cases.
    + rewrite at_least_split in *.
      destruct (position_of_ties t (m - count (above t) xs) xs) as (position & _ & ties); [lia|].
      exists (Some position). unfold holds. cbn [is_cut keep]. rewrite up.
      rewrite cut_before_keep_first, ties, kept_of_cut by lia. cases.
Qed.

(** * Blocks *)

Lemma cut_before_app t position xs ys :
  cut_before t position (xs ++ ys) = cut_before t position xs ++ cut_before t (position - size xs) ys.
Proof.
  revert position. induction xs as [|x xs IH]; intros position; cbn [app cut_before].
  - now rewrite Z.sub_0_r.
  - rewrite IH. change (size (x :: xs)) with (1 + size xs). cbn [app]. do 3 f_equal. lia.
Qed.

Lemma everything_kept rule m xs : 1 <= m -> size xs <= m -> keep 1 None xs = trim rule m xs.
Proof. intros pos full. rewrite full_density by assumption. now apply keep_all_one_or_less. Qed.

Lemma keep_app t cut xs ys :
  keep t cut (xs ++ ys) = keep t cut xs ++ keep t (option_map (fun p => p - size xs) cut) ys.
Proof. destruct cut; cbn [keep option_map]; [apply cut_before_app|apply map_app]. Qed.
