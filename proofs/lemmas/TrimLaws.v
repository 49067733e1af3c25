(** What trim keeps, element by element and in number; the laws follow. *)

From Coq Require Import ZArith List Bool Lia Permutation.
From MergeAlgebra.Definitions Require Import Trim.
From MergeAlgebra.Lemmas Require Import TrimCount.
Import ListNotations.
Open Scope Z_scope.

(** * m *)

Lemma kept_count_range num den d : 0 < num <= den -> 1 <= d -> 1 <= kept_count num den d <= d.
Proof.
  intros density some. unfold kept_count.
  assert (num * d / den <= d) by (apply Z.div_le_upper_bound; nia). lia.
Qed.

Lemma kept_count_floor num den d k : 0 < den -> 1 <= k ->
  (k <= kept_count num den d <-> k = 1 \/ k * den <= num * d).
Proof.
  intros pos least. unfold kept_count. rewrite Z.max_le_iff.
  assert (k <= num * d / den <-> k * den <= num * d).
  { split; [|intros le; apply Z.div_le_lower_bound; lia].
    intros le. pose proof (Z.mul_div_le (num * d) den pos). nia. }
  lia.
Qed.

Lemma kept_count_all den d : 0 < den -> 1 <= d -> kept_count den den d = d.
Proof. intros pos some. unfold kept_count. rewrite Z.mul_comm, Z.div_mul by lia. lia. Qed.

(** * One element *)

Lemma keep_all_length t xs : length (keep_all t xs) = length xs.
Proof. apply map_length. Qed.

Lemma keep_first_length t ties xs : length (keep_first t ties xs) = length xs.
Proof.
  revert ties. induction xs as [|x xs IH]; intros ties; [reflexivity|]. cbn.
  destruct (above t x), (tied t x && (0 <? ties)); cbn; now rewrite IH.
Qed.

Lemma trim_length rule m xs : length (trim rule m xs) = length xs.
Proof. destruct rule; [apply keep_all_length|apply keep_first_length]. Qed.

Lemma keep_all_nth t xs i :
  nth i (keep_all t xs) 0 = if at_least t (nth i xs 0) then nth i xs 0 else 0.
Proof.
  unfold keep_all. revert i. induction xs as [|x xs IH]; intros [|i]; cbn [map nth];
    [destruct (at_least t 0)|destruct (at_least t 0)| |apply IH]; reflexivity.
Qed.

Lemma keep_first_nth t ties xs i : (i < length xs)%nat ->
  nth i (keep_first t ties xs) 0 =
  let x := nth i xs 0 in
  if above t x || (tied t x && (count (tied t) (firstn i xs) <? ties)) then x else 0.
Proof.
  cbv zeta. revert ties i. induction xs as [|x xs IH]; intros ties i there; [cbn in there; lia|].
  cbn [keep_first]. destruct i as [|i]; cbn [nth firstn count].
  - destruct (above t x), (tied t x && (0 <? ties)); reflexivity.
  - cbn in there. assert (i < length xs)%nat by lia.
    pose proof (count_nonneg (tied t) (firstn i xs)).
    assert (once : above t x = true -> tied t x = false) by cases.
    destruct (above t x); cbn [orb andb]; [rewrite once by reflexivity; apply IH; assumption|].
    destruct (tied t x); cbn [andb]; [|apply IH; assumption].
    destruct (Z.ltb_spec 0 ties); cbn [nth]; rewrite IH by assumption;
      repeat match goal with |- context [?a <? ?b] => destruct (Z.ltb_spec a b) end; try lia; reflexivity.
Qed.

Lemma trim_nth_outside rule m xs i : (length xs <= i)%nat -> nth i (trim rule m xs) 0 = 0.
Proof. intros outside. apply nth_overflow. now rewrite trim_length. Qed.

Lemma same_elements (xs ys : list Z) :
  length xs = length ys -> (forall i, (i < length xs)%nat -> nth i xs 0 = nth i ys 0) -> xs = ys.
Proof. apply nth_ext. Qed.

Lemma trim_nth rule m xs i : 1 <= m -> (i < length xs)%nat ->
  nth i (trim rule m xs) 0 = if rank rule xs i <? m then nth i xs 0 else 0.
Proof.
  intros pos there. unfold trim, rank. cbv zeta. set (x := nth i xs 0). set (t := threshold m xs).
  pose proof (beaten_by_fewer m xs x pos) as beaten. fold t in beaten.
  destruct rule.
  - rewrite Z.add_0_r, keep_all_nth. fold x. cases.
  - rewrite keep_first_nth by assumption. fold x. cbv zeta.
    destruct (threshold_spec m xs pos) as [over _]. fold t in over.
    pose proof (count_nonneg (tied (Z.abs x)) (firstn i xs)).
    pose proof (count_firstn (tied (Z.abs x)) i xs).
    pose proof (at_least_split (Z.abs x) xs).
    destruct (Z.lt_trichotomy (Z.abs x) t) as [lt|[eq|gt]].
    + cases.
    + rewrite <- eq in *. cases.
    + pose proof (at_least_le_above _ _ xs gt). cases.
Qed.

Lemma trim_nth_kept_or_zero rule m xs i : 1 <= m ->
  nth i (trim rule m xs) 0 = nth i xs 0 \/ nth i (trim rule m xs) 0 = 0.
Proof.
  intros pos. destruct (Nat.lt_ge_cases i (length xs)) as [there|outside]; [|right; now apply trim_nth_outside].
  rewrite trim_nth by assumption. destruct (rank rule xs i <? m); auto.
Qed.

Lemma trim_nth_zero rule m xs i : 1 <= m -> nth i xs 0 = 0 -> nth i (trim rule m xs) 0 = 0.
Proof. intros pos zero. destruct (trim_nth_kept_or_zero rule m xs i pos); congruence. Qed.

Lemma kept_iff rule m xs i : 1 <= m -> (i < length xs)%nat ->
  (nth i (trim rule m xs) 0 <> 0 <-> nth i xs 0 <> 0 /\ rank rule xs i < m).
Proof. intros pos there. rewrite trim_nth by assumption. destruct (Z.ltb_spec (rank rule xs i) m); lia. Qed.

Lemma trim_shape rule m xs : 1 <= m ->
  length (trim rule m xs) = length xs /\
  forall i, nth i (trim rule m xs) 0 = nth i xs 0 \/ nth i (trim rule m xs) 0 = 0.
Proof. intros pos. split; [apply trim_length|]. intros i. now apply trim_nth_kept_or_zero. Qed.

(** * Kept elements are the largest *)

Lemma rank_bounds rule xs i : (i < length xs)%nat ->
  count (above (Z.abs (nth i xs 0))) xs <= rank rule xs i < count (at_least (Z.abs (nth i xs 0))) xs.
Proof.
  intros there. unfold rank. cbv zeta. rewrite at_least_split. set (s := Z.abs (nth i xs 0)).
  assert (count (tied s) (firstn i xs) < count (tied s) xs) by (apply count_before; [assumption|unfold s; cases]).
  pose proof (count_nonneg (tied s) (firstn i xs)). destruct rule; lia.
Qed.

Lemma kept_are_largest rule m xs i j : 1 <= m -> (i < length xs)%nat -> (j < length xs)%nat ->
  nth i (trim rule m xs) 0 <> 0 -> nth j (trim rule m xs) 0 = 0 -> Z.abs (nth j xs 0) <= Z.abs (nth i xs 0).
Proof.
  intros pos there there' kept dropped. apply kept_iff in kept; [|assumption..].
  destruct (Z.eq_dec (nth j xs 0) 0) as [->|some]; [lia|].
  destruct (Z.le_gt_cases (Z.abs (nth j xs 0)) (Z.abs (nth i xs 0))) as [|larger]; [assumption|].
  pose proof (rank_bounds rule xs i there). pose proof (rank_bounds rule xs j there').
  pose proof (at_least_le_above _ _ xs larger).
  exfalso. revert dropped. apply kept_iff; [assumption..|]. split; [assumption|lia].
Qed.

Lemma first_ties_are_kept m xs i j : 1 <= m -> (i < j < length xs)%nat ->
  Z.abs (nth i xs 0) = Z.abs (nth j xs 0) ->
  nth j (trim LowestIndex m xs) 0 <> 0 -> nth i (trim LowestIndex m xs) 0 <> 0.
Proof.
  intros pos order tie. rewrite !kept_iff by lia. intros [some before]. split; [lia|].
  revert before. unfold rank. cbv zeta. rewrite tie.
  pose proof (count_firstn_le (tied (Z.abs (nth j xs 0))) i j xs). lia.
Qed.

Lemma all_ties_are_kept m xs i j : 1 <= m -> (i < length xs)%nat -> (j < length xs)%nat ->
  Z.abs (nth i xs 0) = Z.abs (nth j xs 0) ->
  nth j (trim KeepAll m xs) 0 <> 0 -> nth i (trim KeepAll m xs) 0 <> 0.
Proof.
  intros pos there there' tie. rewrite !kept_iff by assumption. intros [some before]. split; [lia|].
  revert before. unfold rank. cbv zeta. now rewrite tie.
Qed.

(** * How many are kept *)

Lemma keep_all_count t xs : count nonzero (keep_all t xs) = count (fun x => at_least t x && nonzero x) xs.
Proof. unfold keep_all. rewrite count_map. apply count_ext. intros x _. cases. Qed.

Lemma keep_all_count_pos t xs : 0 < t -> count nonzero (keep_all t xs) = count (at_least t) xs.
Proof. intros pos. rewrite keep_all_count. apply count_ext. intros x _. cases. Qed.

Lemma keep_all_count_zero xs : count nonzero (keep_all 0 xs) = count nonzero xs.
Proof. rewrite keep_all_count. apply count_ext. intros x _. cases. Qed.

Lemma keep_first_count t ties xs : 0 < t ->
  count nonzero (keep_first t ties xs) = count (above t) xs + Z.min (Z.max 0 ties) (count (tied t) xs).
Proof.
  intros pos. revert ties. induction xs as [|x xs IH]; intros ties; cbn [keep_first count]; [lia|].
  pose proof (count_nonneg (tied t) xs). pose proof (count_nonneg (above t) xs).
  unfold nonzero, above at 1 3, tied at 1 3.
  destruct (Z.ltb_spec t (Z.abs x)); [|destruct (Z.eqb_spec (Z.abs x) t); [destruct (Z.ltb_spec 0 ties)|]];
    cbn [andb count]; fold nonzero; rewrite IH; cases.
Qed.

Lemma keep_first_zero ties xs : keep_first 0 ties xs = xs.
Proof.
  revert ties. induction xs as [|x xs IH]; intros ties; cbn [keep_first]; [reflexivity|].
  rewrite !IH. destruct (above 0 x) eqn:over; [reflexivity|].
  replace x with 0 by (revert over; cases). destruct (tied 0 0 && (0 <? ties)); reflexivity.
Qed.

Lemma keep_all_one_or_less t xs : t <= 1 -> keep_all t xs = xs.
Proof.
  intros low. apply same_elements; [apply keep_all_length|]. intros i _. rewrite keep_all_nth. cases.
Qed.

(** Of the elements with a magnitude above some number. *)

Lemma keep_first_above s t ties xs : 0 <= s -> t <= s ->
  count (above s) (keep_first t ties xs) = count (above s) xs.
Proof.
  intros least le. revert ties. induction xs as [|x xs IH]; intros ties; cbn [keep_first count]; [reflexivity|].
  destruct (above t x) eqn:over; [cbn [count]; now rewrite IH|].
  assert (above s x = false /\ above s 0 = false) as [no zero] by (revert over; cases).
  rewrite no. destruct (tied t x && (0 <? ties)); cbn [count]; rewrite IH; [rewrite no|rewrite zero]; lia.
Qed.

Lemma keep_first_below s t ties xs : 0 <= s < t ->
  count (above s) (keep_first t ties xs) = count nonzero (keep_first t ties xs).
Proof.
  intros between. revert ties. induction xs as [|x xs IH]; intros ties; cbn [keep_first]; [reflexivity|].
  destruct (above t x) eqn:over; [|destruct (tied t x && (0 <? ties)) eqn:tie];
    cbn [count]; rewrite IH; try apply andb_prop in tie as [tie _]; try revert tie; revert over; cases.
Qed.

Lemma lowest_index_keeps_above m xs s : 1 <= m -> 0 <= s ->
  count (above s) (trim LowestIndex m xs) = Z.min m (count (above s) xs).
Proof.
  intros pos least. unfold trim. destruct (threshold_spec m xs pos) as [over below]. set (t := threshold m xs) in *.
  destruct (Z.le_gt_cases t s) as [le|gt].
  - rewrite keep_first_above by assumption. pose proof (above_anti t s xs le). lia.
  - destruct below as [zero|[some below]]; [lia|].
    rewrite keep_first_below, keep_first_count by lia. rewrite at_least_split in below.
    pose proof (at_least_le_above s t xs ltac:(lia)). rewrite at_least_split in *. lia.
Qed.

Lemma lowest_index_keeps m xs : 1 <= m ->
  count nonzero (trim LowestIndex m xs) = Z.min m (count nonzero xs).
Proof. intros pos. rewrite <- !above_zero. apply lowest_index_keeps_above; lia. Qed.

Lemma keep_all_keeps m xs : 1 <= m ->
  Z.min m (count nonzero xs) <= count nonzero (trim KeepAll m xs).
Proof.
  intros pos. unfold trim. destruct (threshold_spec m xs pos) as [over [zero|[some below]]].
  - rewrite zero, keep_all_count_zero. lia.
  - rewrite keep_all_count_pos by assumption. lia.
Qed.

Lemma lowest_index_within_keep_all m xs i : 1 <= m ->
  nth i (trim LowestIndex m xs) 0 <> 0 -> nth i (trim KeepAll m xs) 0 <> 0.
Proof.
  intros pos. destruct (Nat.lt_ge_cases i (length xs)); [|now rewrite trim_nth_outside].
  rewrite !kept_iff by assumption. unfold rank. cbv zeta.
  pose proof (count_nonneg (tied (Z.abs (nth i xs 0))) (firstn i xs)). lia.
Qed.

Lemma few_nonzeros rule m xs : 1 <= m -> count nonzero xs <= m -> trim rule m xs = xs.
Proof.
  intros pos few. apply same_elements; [apply trim_length|]. intros i there. rewrite trim_length in there.
  destruct (Z.eq_dec (nth i xs 0) 0) as [zero|some]; [rewrite zero; now apply trim_nth_zero|].
  rewrite trim_nth by assumption. pose proof (rank_bounds rule xs i there).
  pose proof (at_least_le_nonzero (Z.abs (nth i xs 0)) xs). cases.
Qed.

Lemma full_density rule m xs : 1 <= m -> size xs <= m -> trim rule m xs = xs.
Proof. intros pos full. apply few_nonzeros; [assumption|]. pose proof (count_le_size nonzero xs). lia. Qed.

Lemma density_one rule den xs : 0 < den -> trim_group rule den den xs = xs.
Proof.
  intros pos. unfold trim_group. destruct xs as [|x xs]; [now destruct rule|].
  assert (1 <= size (x :: xs)) by (rewrite size_length; cbn [length]; lia).
  rewrite kept_count_all by assumption. now apply full_density.
Qed.

(** * Trimming again *)

Lemma nth_firstn i n (xs : list Z) : (i < n)%nat -> nth i (firstn n xs) 0 = nth i xs 0.
Proof.
  revert n xs. induction i as [|i IH]; intros [|n] [|x xs] lt; cbn; try reflexivity; [lia|lia|]. apply IH. lia.
Qed.

Lemma count_shrinks p ys zs : p 0 = false -> length ys = length zs ->
  (forall i, nth i ys 0 = nth i zs 0 \/ nth i ys 0 = 0) -> count p ys <= count p zs.
Proof.
  intros zero. revert zs. induction ys as [|y ys IH]; intros [|z zs] len each; try discriminate len; [cbn; lia|].
  cbn [count].
  assert (count p ys <= count p zs) by (apply IH; [now injection len|intros i; apply (each (S i))]).
  destruct (each 0%nat) as [eq|eq]; cbn in eq; subst; [lia|]. rewrite zero. destruct (p z); lia.
Qed.

Lemma trimmed_count p rule m xs n : 1 <= m -> p 0 = false ->
  count p (firstn n (trim rule m xs)) <= count p (firstn n xs).
Proof.
  intros pos zero. apply count_shrinks; [assumption|rewrite !firstn_length, trim_length; reflexivity|].
  intros i. destruct (Nat.lt_ge_cases i n).
  - rewrite !nth_firstn by assumption. now apply trim_nth_kept_or_zero.
  - right. apply nth_overflow. rewrite firstn_length. lia.
Qed.

Lemma rank_after_trim rule m xs i : 1 <= m ->
  nth i (trim rule m xs) 0 <> 0 -> rank rule (trim rule m xs) i <= rank rule xs i.
Proof.
  intros pos kept. unfold rank. cbv zeta.
  destruct (trim_nth_kept_or_zero rule m xs i pos) as [same|]; [rewrite same in *|contradiction].
  set (s := Z.abs (nth i xs 0)).
  pose proof (trimmed_count (above s) rule m xs (length xs) pos) as over.
  rewrite <- (trim_length rule m xs) in over at 1. rewrite !firstn_all in over.
  pose proof (trimmed_count (tied s) rule m xs i pos) as ties.
  assert (above s 0 = false /\ tied s 0 = false) by (unfold s; cases).
  destruct rule; intuition lia.
Qed.

Lemma trim_idempotent rule m xs : 1 <= m -> trim rule m (trim rule m xs) = trim rule m xs.
Proof.
  intros pos. apply same_elements; [apply trim_length|]. intros i there. rewrite !trim_length in there.
  destruct (Z.eq_dec (nth i (trim rule m xs) 0) 0) as [zero|kept]; [rewrite zero; now apply trim_nth_zero|].
  pose proof (rank_after_trim rule m xs i pos kept). apply kept_iff in kept; [|assumption..].
  rewrite trim_nth by (try rewrite trim_length; assumption). cases.
Qed.

(** * Scaling, and other orders of coordinates *)

Lemma scale_nth k xs i : nth i (scale k xs) 0 = k * nth i xs 0.
Proof. unfold scale. rewrite <- (Z.mul_0_r k) at 1. apply map_nth. Qed.

Lemma scale_above k t x : k <> 0 -> above (Z.abs k * t) (k * x) = above t x.
Proof.
  intros some. unfold above. rewrite Z.abs_mul.
  destruct (Z.ltb_spec t (Z.abs x)); [apply Z.ltb_lt|apply Z.ltb_ge]; nia.
Qed.

Lemma scale_tied k t x : k <> 0 -> tied (Z.abs k * t) (k * x) = tied t x.
Proof.
  intros some. unfold tied. rewrite Z.abs_mul.
  destruct (Z.eqb_spec (Z.abs x) t) as [->|other]; [apply Z.eqb_refl|]. apply Z.eqb_neq. nia.
Qed.

Lemma rank_scale rule k xs i : k <> 0 -> rank rule (scale k xs) i = rank rule xs i.
Proof.
  intros some. unfold rank. cbv zeta. rewrite scale_nth, Z.abs_mul.
  set (s := Z.abs (nth i xs 0)). unfold scale. rewrite firstn_map, !count_map.
  rewrite (count_ext (fun x => above (Z.abs k * s) (k * x)) (above s)) by (intros; now apply scale_above).
  rewrite (count_ext (fun x => tied (Z.abs k * s) (k * x)) (tied s)) by (intros; now apply scale_tied). reflexivity.
Qed.

Lemma trim_scale rule m k xs : 1 <= m -> k <> 0 -> trim rule m (scale k xs) = scale k (trim rule m xs).
Proof.
  intros pos some. apply same_elements; [unfold scale; now rewrite trim_length, !map_length, trim_length|].
  intros i there. rewrite trim_length in there. rewrite scale_nth, trim_nth by assumption.
  unfold scale in there. rewrite map_length in there.
  rewrite rank_scale, scale_nth, trim_nth by assumption. destruct (rank rule xs i <? m); lia.
Qed.

Lemma reorder_permutation order xs :
  Permutation order (seq 0 (length xs)) -> Permutation (reorder order xs) xs.
Proof.
  intros perm. unfold reorder. rewrite (Permutation_map _ perm).
  replace (map (fun i => nth i xs 0) (seq 0 (length xs))) with xs; [reflexivity|].
  apply same_elements; [now rewrite map_length, seq_length|]. intros i there.
  rewrite (nth_indep (map _ _) 0 ((fun i => nth i xs 0) 0%nat)) by now rewrite map_length, seq_length.
  rewrite (map_nth (fun i => nth i xs 0)), seq_nth by assumption. reflexivity.
Qed.

Lemma threshold_permutation m xs ys : Permutation xs ys -> 1 <= m -> threshold m xs = threshold m ys.
Proof.
  intros perm pos. assert (same : size xs = size ys) by now apply count_permutation.
  destruct (Z.le_gt_cases m (size xs)) as [le|gt].
  - apply threshold_unique; [lia|]. rewrite <- !(count_permutation _ _ _ perm). apply threshold_counts. lia.
  - rewrite !threshold_beyond by lia. reflexivity.
Qed.

Lemma trim_empty rule num den : trim_group rule num den [] = [].
Proof. now destruct rule. Qed.

(** Magnitudes kept at the boundary lowest_index. *)
Lemma kept_magnitudes m xs ys s : 1 <= m -> 0 <= s -> Permutation xs ys ->
  count (above s) (trim LowestIndex m xs) = count (above s) (trim LowestIndex m ys).
Proof.
  intros pos least perm. rewrite !lowest_index_keeps_above by assumption.
  now rewrite (count_permutation _ _ _ perm).
Qed.

Lemma trim_keep_all_reorder m order xs : 1 <= m -> Permutation order (seq 0 (length xs)) ->
  trim KeepAll m (reorder order xs) = reorder order (trim KeepAll m xs).
Proof.
  intros pos perm. unfold trim. rewrite (threshold_permutation m _ _ (reorder_permutation _ _ perm)) by assumption.
  unfold keep_all at 1. unfold reorder. rewrite map_map. apply map_ext. intros i. now rewrite keep_all_nth.
Qed.

