(** Aggregates: combined and retracted, the sums stay exact while the tests pass. *)

From Coq Require Import ZArith Reals Lia Lra List Permutation.
From Flocq Require Import Core.Core.
From MergeAlgebra.Definitions Require Import Bits Rounding Floats FloatsCode.
From MergeAlgebra.Lemmas Require Import FloatsNumbers FloatsSums FloatsMethods.
Import ListNotations.
Open Scope R_scope.

Lemma from_rest {A} (xs ys rest : list A) : Permutation xs (ys ++ rest) -> forall x, In x rest -> In x xs.
Proof. intros P x Hx. eapply Permutation_in; [apply Permutation_sym; exact P | apply in_or_app; now right]. Qed.

Lemma holds_numbers weighs h votes : holds weighs h votes ->
  all_numbers F32 (map value votes) /\ all_numbers F32 (map coefficient votes).
Proof.
induction 1 as [x Hv Hc | a b xs ys _ [IHa IHa'] _ [IHb IHb'] _ | a b xs ys rest _ [IHa IHa'] _ _ P].
- split; now constructor.
- unfold all_numbers in *. rewrite !map_app. split; now apply Forall_app.
- unfold all_numbers in *. rewrite !Forall_forall in *.
  split; intros r Hr; apply in_map_iff in Hr as (x & <- & Hx);
    [apply IHa | apply IHa']; now apply in_map, (from_rest _ _ _ P).
Qed.

Lemma grid_of_positive h : (1 <= grid_of h)%Z.
Proof. induction h; simpl; [apply biased_grid_positive | lia | assumption]. Qed.

Lemma grid_of_least weighs h votes : holds weighs h votes -> forall x, In x votes -> (grid_of h <= biased_grid (value x))%Z.
Proof.
induction 1 as [x _ _ | a b xs ys _ IHa _ IHb _ | a b xs ys rest _ IHa _ _ P]; simpl; intros y Hy.
- destruct Hy as [-> | []]. lia.
- apply in_app_or in Hy as [Hy | Hy]; [specialize (IHa y Hy) | specialize (IHb y Hy)]; lia.
- now apply IHa, (from_rest _ _ _ P).
Qed.

Lemma grid_of_exponent h : (-1074 <= grid_of h - 150)%Z.
Proof. pose proof (grid_of_positive h). lia. Qed.

Lemma held_on_grid weighs h votes : holds weighs h votes -> forall x, In x votes -> on_grid (grid_of h - 150) (value x).
Proof.
intros H x Hx. apply on_biased_grid; [| now apply (grid_of_least weighs h votes)].
destruct (holds_numbers weighs h votes H) as [N _]. unfold all_numbers in N. rewrite Forall_forall in N.
apply N. now apply in_map.
Qed.

(** Two sums of one sign, rounded: what is computed below the limit is exact. *)
Lemma join_below_is_exact e x y :
  (-1074 <= e)%Z -> on_grid e x -> on_grid e y -> 0 <= x -> 0 <= y -> RN64 (x + y) < 2^(53 + e) -> RN64 (x + y) = x + y.
Proof.
intros He Gx Gy Hx Hy L. apply (grid_is_exact F64 e); [now apply on_grid_plus | exact He |].
rewrite Rabs_pos_eq by lra. apply Rnot_lt_le. intros C. apply (Rlt_not_le _ _ L).
apply RN_at_least; [now apply two_grids_above | now apply Rlt_le].
Qed.

Lemma join_test_is_sound e p q m n :
  (-1074 <= e)%Z -> on_grid e p -> on_grid e q -> on_grid e m -> on_grid e n ->
  0 <= p -> 0 <= q -> 0 <= - m -> 0 <= - n ->
  RN64 (RN64 (p + q) - RN64 (m + n)) < 2^(53 + e) ->
  RN64 (p + q) = p + q /\ RN64 (m + n) = m + n /\ p + q - (m + n) < 2^(53 + e).
Proof.
intros He Gp Gq Gm Gn Hp Hq Hm Hn L.
assert (N : RN64 (m + n) = - RN64 (- m + - n)) by (rewrite <- RN_opp; f_equal; ring).
assert (0 <= RN64 (p + q)) by (apply RN_nonneg; lra).
assert (0 <= RN64 (- m + - n)) by (apply RN_nonneg; lra).
assert (LP : RN64 (p + q) < 2^(53 + e)).
{ eapply Rle_lt_trans; [| exact L]. apply RN_at_least; [apply RN_has_format | lra]. }
assert (LN : RN64 (- m + - n) < 2^(53 + e)).
{ eapply Rle_lt_trans; [| exact L]. apply RN_at_least; [apply RN_has_format | lra]. }
apply (join_below_is_exact e) in LP; try assumption.
apply (join_below_is_exact e) in LN; try assumption; try now apply on_grid_opp.
rewrite N, LN, LP in *. repeat split; try ring.
apply Rnot_le_lt. intros C. apply (Rlt_not_le _ _ L). apply RN_at_least; [now apply two_grids_above | lra].
Qed.

(** Taking a sum out of one that it is part of. *)
Lemma retract_is_exact e (f : vote -> R) xs ys rest :
  (-1074 <= e)%Z -> (forall x, In x xs -> on_grid e (f x)) -> sum_of (magnitude f) xs <= 2^(53 + e) ->
  Permutation xs (ys ++ rest) -> RN64 (sum_of f xs - sum_of f ys) = sum_of f rest.
Proof.
intros He G L P. rewrite (sum_of_perm f _ _ P), sum_of_app.
replace (sum_of f ys + sum_of f rest - sum_of f ys) with (sum_of f rest) by ring.
apply (grid_is_exact F64 e); [| exact He |].
- apply on_grid_sum. intros x Hx. now apply G, (from_rest _ _ _ P).
- change (precision F64) with 53%Z. eapply Rle_trans; [| exact L].
  rewrite (sum_of_perm _ _ _ P), sum_of_app. pose proof (sum_of_nonneg (magnitude f) ys ltac:(intros; apply Rabs_pos)).
  eapply Rle_trans; [apply sum_of_abs |]. unfold magnitude in *. lra.
Qed.

Lemma sum_by_sign_of votes : sum_of S_positive votes - sum_of S_negative votes = sum_of (magnitude value) votes.
Proof.
unfold Rminus. rewrite <- sum_of_opp, sum_of_plus. apply sum_of_ext. intros x _. apply magnitude_by_sign.
Qed.

Lemma S_positive_nonneg votes : 0 <= sum_of S_positive votes.
Proof. apply sum_of_nonneg. intros; apply positive_nonneg. Qed.

Lemma S_negative_nonpos votes : 0 <= - sum_of S_negative votes.
Proof. rewrite <- sum_of_opp. apply sum_of_nonneg. intros; apply negative_nonpos. Qed.

Lemma magnitude_sum_le (f g : vote -> R) votes :
  (forall x, Rabs (f x) <= Rabs (g x)) -> sum_of (magnitude f) votes <= sum_of (magnitude g) votes.
Proof. intros H. apply sum_of_le. intros x _. apply H. Qed.

Lemma aggregate_invariant weighs h votes : holds weighs h votes -> stays_certified h ->
  column S_positive h = sum_of S_positive votes /\ column S_negative h = sum_of S_negative votes /\
  sum_of (magnitude value) votes < limit (grid_of h).
Proof.
induction 1 as [x Hv _ | a b xs ys Ha IHa Hb IHb _ | a b xs ys rest Ha IHa Hb IHb P]; simpl stays_certified.
- intros _. simpl column. simpl grid_of. rewrite !sum_of_cons. unfold sum_of; simpl sum. repeat split; try ring.
  rewrite Rplus_0_r, limit_is. unfold magnitude. destruct (Req_dec (value x) 0) as [-> | N].
  + rewrite Rabs_R0. apply two_pos.
  + rewrite biased_grid_nonzero by exact N. eapply Rlt_le_trans; [apply magnitude_below_grid | apply bpow_le]. lia.
- intros (Ca & Cb & T). destruct (IHa Ca) as (Pa & Na & _). destruct (IHb Cb) as (Pb & Nb & _).
  simpl column in *. simpl grid_of in *. set (g := Z.min (grid_of a) (grid_of b)) in *.
  pose proof (grid_of_exponent a). pose proof (grid_of_exponent b).
  assert (G1 : forall x, In x xs -> on_grid (g - 150) (value x)).
  { intros x Hx. eapply on_grid_finer; [| now apply (held_on_grid weighs a xs)]. unfold g; lia. }
  assert (G2 : forall x, In x ys -> on_grid (g - 150) (value x)).
  { intros x Hx. eapply on_grid_finer; [| now apply (held_on_grid weighs b ys)]. unfold g; lia. }
  rewrite Pa, Na, Pb, Nb, limit_is in *.
  apply join_test_is_sound in T; try apply S_positive_nonneg; try apply S_negative_nonpos;
    try (apply on_grid_sum; intros; apply on_grid_max; auto);
    try (apply on_grid_sum; intros; apply on_grid_min; auto); [| unfold g; lia].
  destruct T as (-> & -> & T). rewrite !sum_of_app. repeat split. rewrite <- !sum_by_sign_of. lra.
- intros [Ca Cb]. destruct (IHa Ca) as (Pa & Na & La). destruct (IHb Cb) as (Pb & Nb & Lb).
  simpl column. simpl grid_of. rewrite Pa, Na, Pb, Nb, limit_is in *. pose proof (held_on_grid weighs a xs Ha) as G.
  repeat split.
  + apply (retract_is_exact (grid_of a - 150)); [apply grid_of_exponent | intros; now apply on_grid_max, G | | exact P].
    eapply Rle_trans; [apply magnitude_sum_le, S_positive_le | now apply Rlt_le].
  + apply (retract_is_exact (grid_of a - 150)); [apply grid_of_exponent | intros; now apply on_grid_min, G | | exact P].
    eapply Rle_trans; [apply magnitude_sum_le, S_negative_le | now apply Rlt_le].
  + rewrite (sum_of_perm _ _ _ P), sum_of_app in La.
    pose proof (sum_of_nonneg (magnitude value) ys ltac:(intros; apply Rabs_pos)). lra.
Qed.

Theorem aggregates_are_exact weighs h votes :
  holds weighs h votes -> stays_certified h ->
  column S_positive h = sum_of S_positive votes /\ column S_negative h = sum_of S_negative votes /\
  certified (map value votes).
Proof.
intros H C. destruct (aggregate_invariant weighs h votes H C) as (P & N & L). repeat split; try assumption.
intros v Hv Z. rewrite sum_of_map. apply in_map_iff in Hv as (x & <- & Hx).
eapply Rlt_le_trans; [exact L |]. rewrite limit_is, <- bpow_plus. apply bpow_le.
pose proof (grid_of_least weighs h votes H x Hx) as K. rewrite biased_grid_nonzero in K by exact Z. lia.
Qed.

(** * Sums of coefficients *)

Lemma one_is_certified c : is_number F32 c -> certified [c].
Proof.
intros [F _] v [<- | []] N. rewrite sum_of_cons, <- bpow_plus. change (sum_of Rabs []) with 0. rewrite Rplus_0_r.
eapply Rlt_le_trans; [apply magnitude_below_grid | apply bpow_le; lia].
Qed.

Lemma weighed_coefficients h votes : holds true h votes -> certified (map coefficient votes).
Proof.
induction 1 as [x _ Hc | a b xs ys _ _ _ _ C | a b xs ys rest _ IHa _ _ P].
- now apply one_is_certified.
- now apply C.
- apply (certified_part _ (map coefficient ys)). rewrite <- map_app. eapply certified_perm; [| exact IHa].
  apply Permutation_map. eapply Permutation_trans; [exact P | apply Permutation_app_comm].
Qed.

Lemma weights_are_exact (f : vote -> R) h votes :
  (forall x, Rabs (f x) <= Rabs (coefficient x)) -> (forall e x, on_grid e (coefficient x) -> on_grid e (f x)) ->
  holds true h votes -> column f h = sum_of f votes.
Proof.
intros Hle Hg. induction 1 as [x _ Hc | a b xs ys Ha IHa Hb IHb C | a b xs ys rest Ha IHa Hb IHb P]; simpl column.
- unfold sum_of; simpl; ring.
- rewrite IHa, IHb, <- sum_of_app. apply RN_number.
  apply (certified_sum_format coefficient); [| now apply C | exact Hle | exact Hg].
  rewrite map_app. apply Forall_app. split; [apply (holds_numbers true a xs Ha) | apply (holds_numbers true b ys Hb)].
- rewrite IHa, IHb. pose proof (weighed_coefficients a xs Ha) as C.
  destruct (holds_numbers true a xs Ha) as [_ N]. pose proof (all_on_least_grid _ (formats_of _ N)) as G.
  apply (retract_is_exact (least_grid (map coefficient xs) - 150)); [apply least_grid_is_fp64 | | | exact P].
  + intros x Hx. now apply Hg, G, in_map.
  + apply Rlt_le. eapply Rle_lt_trans; [| apply (certified_bound _ N C)].
    rewrite sum_of_map. now apply magnitude_sum_le.
Qed.

Theorem ties_of_aggregate_is_ties h votes :
  holds true h votes -> stays_certified h -> ties_of_aggregate h = ties votes.
Proof.
intros H C. destruct (aggregates_are_exact true h votes H C) as (Ep & En & Cv).
destruct (holds_numbers true h votes H) as [Nv Nc]. pose proof (weighed_coefficients h votes H) as Cc.
unfold ties_of_aggregate, finalize_by_sign. rewrite ties_is. unfold rounded_ratio. rewrite Ep, En.
rewrite (weights_are_exact W_positive h votes W_positive_le W_positive_grid H).
rewrite (weights_are_exact W_negative h votes W_negative_le W_negative_grid H).
rewrite (RN_number F64 (sum_of S_positive _))
  by exact (certified_sum_format value S_positive _ Nv Cv S_positive_le S_positive_grid).
rewrite (RN_number F64 (sum_of S_negative _))
  by exact (certified_sum_format value S_negative _ Nv Cv S_negative_le S_negative_grid).
rewrite (RN_number F64 (sum_of W_positive _))
  by exact (certified_sum_format coefficient W_positive _ Nc Cc W_positive_le W_positive_grid).
rewrite (RN_number F64 (- sum_of W_negative _))
  by exact (has_format_opp _ _ (certified_sum_format coefficient W_negative _ Nc Cc W_negative_le W_negative_grid)).
reflexivity.
Qed.

Theorem total_of_aggregate_is_total weighs h votes :
  holds weighs h votes -> stays_certified h -> total_of_aggregate h = RN64 (sum_of value votes).
Proof.
intros H C. destruct (aggregates_are_exact weighs h votes H C) as (Ep & En & _).
unfold total_of_aggregate. now rewrite Ep, En, total_is.
Qed.

(** * Where a certificate is lost: integers in units of 2^-149 *)

Theorem units_are_exact n : has_format F64 (IZR n * 2^(-149)) -> RN64 (IZR n * 2^(-149) / 2^(-149)) = IZR n.
Proof.
intros F. assert (E : IZR n * 2^(-149) / 2^(-149) = IZR n) by (field; apply Rgt_not_eq, two_pos).
rewrite E. apply RN_number.
destruct (Z.eq_dec n 0) as [-> | N]; [apply has_format_0 |].
assert (N' : IZR n * 2^(-149) <> 0).
{ apply Rmult_integral_contrapositive_currified; [now apply not_0_IZR | apply Rgt_not_eq, two_pos]. }
assert (M : mag radix2 (IZR n * 2^(-149)) = (mag radix2 (IZR n) - 149)%Z :> Z).
{ rewrite mag_mult_bpow by now apply not_0_IZR. lia. }
destruct (on_grid_cexp F64 _ F) as [m Em]. unfold cexp, FLT_exp in Em. rewrite M in Em.
change (precision F64) with 53%Z in Em. change (least_exponent F64) with (-1074)%Z in Em.
assert (P : (0 < mag radix2 (IZR n))%Z).
{ apply mag_gt_bpow. rewrite <- abs_IZR. apply IZR_le. lia. }
apply (format_of_grid F64 (mag radix2 (IZR n) - 53)).
- exists m. apply Rmult_eq_reg_r with (2^(-149)); [| apply Rgt_not_eq, two_pos].
  rewrite Em, Rmult_assoc, <- bpow_plus. do 2 f_equal. lia.
- change (least_exponent F64) with (-1074)%Z. lia.
- change (precision F64) with 53%Z. apply Rlt_le. eapply Rlt_le_trans; [apply (bpow_mag_gt radix2) | apply bpow_le; lia].
Qed.
