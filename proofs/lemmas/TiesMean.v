(** The disjoint mean: its sign, its bounds, what changes it and how. *)

From Coq Require Import ZArith List Bool Lia Permutation QArith.
From MergeAlgebra.Definitions Require Import Ties.
From MergeAlgebra.Lemmas Require Import TiesSums.
Import ListNotations.
Open Scope Z_scope.

Lemma filter_of_map {A B} (p : B -> bool) (f : A -> B) xs :
  filter p (map f xs) = map f (filter (fun x => p (f x)) xs).
Proof. induction xs as [|x xs IH]; cbn; [reflexivity|]. destruct (p (f x)); cbn; now rewrite IH. Qed.

(** * S / W *)

Lemma ratio_compare x w : 0 < w -> (ratio (x, w) ?= 0)%Q = (x ?= 0).
Proof.
  intros pos. destruct w as [|w|w]; try lia. unfold ratio, Qcompare, Qdiv, Qmult, Qinv, inject_Z. cbn.
  now rewrite !Z.mul_1_r.
Qed.

Lemma ratio_le x y : 0 < snd x -> 0 < snd y -> fst x * snd y <= fst y * snd x -> (ratio x <= ratio y)%Q.
Proof.
  destruct x as [s w], y as [s' w']. unfold ratio. cbn [fst snd]. intros pos pos' le.
  destruct w as [|w|w]; try lia. destruct w' as [|w'|w']; try lia.
  unfold Qle, Qdiv, Qmult, Qinv, inject_Z. cbn. lia.
Qed.

Lemma ratio_eq x y : 0 < snd x -> 0 < snd y -> fst x * snd y = fst y * snd x -> (ratio x == ratio y)%Q.
Proof. intros pos pos' eq. apply Qle_antisym; apply ratio_le; lia. Qed.

Lemma ratio_zero w : (ratio (0%Z, w) == 0)%Q.
Proof. unfold ratio. cbn [fst snd]. unfold Qdiv. change (inject_Z 0) with 0%Q. ring. Qed.

Lemma ratio_scale k s w : (ratio ((k * s)%Z, w) == inject_Z k * ratio (s, w))%Q.
Proof. unfold ratio. cbn [fst snd]. rewrite inject_Z_mult. unfold Qdiv. ring. Qed.

(** * Never a division by zero *)

Lemma weighted_filter p xs : weighted xs -> weighted (filter p xs).
Proof. apply incl_Forall. intros x there. now apply filter_In in there. Qed.

Lemma total_coefficient_nonneg xs : weighted xs -> 0 <= total_coefficient xs.
Proof. induction 1 as [|x xs pos _ IH]; [cbn; lia|]. rewrite total_coefficient_cons. lia. Qed.

Lemma total_coefficient_pos xs : weighted xs -> xs <> [] -> 0 < total_coefficient xs.
Proof.
  intros [|x rest pos all] some; [contradiction|]. rewrite total_coefficient_cons.
  pose proof (total_coefficient_nonneg rest all). lia.
Qed.

Lemma side_none sign xs : side sign xs = [] -> Forall (fun x => Z.sgn (value x) <> sign) xs.
Proof.
  intros none. apply Forall_forall. intros x there eq.
  assert (In x (side sign xs)) as found by (apply filter_In; split; [assumption|now apply Z.eqb_eq]).
  now rewrite none in found.
Qed.

Lemma nobody_agrees sign xs : sign = 1 \/ sign = -1 ->
  Forall (fun x => Z.sgn (value x) <> sign) xs -> sign * total_value xs <= 0.
Proof.
  intros unit. induction 1 as [|x xs no _ IH]; [cbn; lia|]. rewrite total_value_cons. destruct unit; subst; lia.
Qed.

Lemma someone_agrees xs : gamma xs <> 0 -> agreeing xs <> [].
Proof.
  intros some. rewrite agreeing_side by assumption. intros none%side_none.
  apply nobody_agrees in none; unfold gamma in *; destruct (total_value xs); cbn in *; lia.
Qed.

Lemma weight_positive xs : weighted xs -> gamma xs <> 0 -> 0 < total_coefficient (agreeing xs).
Proof. intros all some. apply total_coefficient_pos; [now apply weighted_filter|now apply someone_agrees]. Qed.

Lemma ties_weight_positive xs : weighted xs -> 0 < snd (ties_sums xs).
Proof.
  intros all. unfold ties_sums. destruct (Z.eqb_spec (gamma xs) 0); cbn [snd]; [lia|now apply weight_positive].
Qed.

Lemma no_division_by_zero xs : weighted xs ->
  (gamma xs <> 0 -> 0 < total_coefficient (agreeing xs)) /\ 0 < snd (finalize (aggregate_of xs)).
Proof.
  intros all. rewrite finalize_aggregate_of. split; [now apply weight_positive|now apply ties_weight_positive].
Qed.

(** * The elected sign *)

Lemma total_value_sign sign xs :
  Forall (fun x => Z.sgn (value x) = sign) xs -> xs <> [] -> Z.sgn (total_value xs) = sign.
Proof.
  intros all. induction all as [|x rest one all IH]; [contradiction|]. intros _. rewrite total_value_cons.
  destruct rest as [|y rest]; [cbn; now rewrite Z.add_0_r|].
  specialize (IH ltac:(discriminate)). lia.
Qed.

Lemma agreeing_sign xs : Forall (fun x => Z.sgn (value x) = gamma xs) (agreeing xs).
Proof.
  apply Forall_forall. intros x there. apply filter_In in there as [_ agree].
  apply andb_prop in agree as [_ agree]. now apply Z.eqb_eq.
Qed.

Lemma elected_sign xs : Z.sgn (fst (ties_sums xs)) = gamma xs.
Proof.
  unfold ties_sums. destruct (Z.eqb_spec (gamma xs) 0) as [zero|some]; cbn [fst]; [now rewrite zero|].
  apply total_value_sign; [apply agreeing_sign|now apply someone_agrees].
Qed.

Lemma disjoint_mean_sign xs : weighted xs -> (disjoint_mean xs ?= 0)%Q = (gamma xs ?= 0).
Proof.
  intros all. pose proof (elected_sign xs) as sign. pose proof (ties_weight_positive xs all) as pos.
  unfold disjoint_mean. destruct (ties_sums xs) as [s w]. cbn [fst snd] in *.
  rewrite ratio_compare by assumption. rewrite <- sign. now destruct s.
Qed.

(** * Bounds *)

Lemma least_below xs : weighted xs -> xs <> [] ->
  exists low, In low xs /\ value low * total_coefficient xs <= total_value xs * coefficient low.
Proof.
  induction 1 as [|x rest pos all IH]; [contradiction|]. intros _.
  rewrite total_value_cons, total_coefficient_cons. pose proof (total_coefficient_nonneg rest all).
  destruct rest as [|y rest]; [exists x; split; [now left|]; cbn; lia|].
  destruct (IH ltac:(discriminate)) as (low & there & le).
  set (V := total_value (y :: rest)) in *. set (W := total_coefficient (y :: rest)) in *.
  assert (0 < coefficient low) by (rewrite Forall_forall in all; auto).
  destruct (Z.le_ge_cases (value low * coefficient x) (value x * coefficient low)).
  - exists low. split; [now right|]. nia.
  - exists x. split; [now left|].
    assert (value x * W * coefficient low <= V * coefficient x * coefficient low) by nia. nia.
Qed.

Lemma negate_total xs : total_value (map (fun x => (- value x, coefficient x)) xs) = - total_value xs.
Proof. induction xs as [|x xs IH]; [reflexivity|]. cbn [map]. rewrite !total_value_cons, IH. cbn. lia. Qed.

Lemma same_coefficients f xs : (forall x, coefficient (f x) = coefficient x) ->
  total_coefficient (map f xs) = total_coefficient xs.
Proof. intros same. unfold total_coefficient. rewrite map_map. f_equal. now apply map_ext. Qed.

Lemma greatest_above xs : weighted xs -> xs <> [] ->
  exists high, In high xs /\ total_value xs * coefficient high <= value high * total_coefficient xs.
Proof.
  intros all some. destruct (least_below (map (fun x => (- value x, coefficient x)) xs)) as (low & there & le).
  - apply Forall_map. apply all.
  - intros none. now apply map_eq_nil in none.
  - apply in_map_iff in there as (high & <- & there). exists high. split; [assumption|].
    rewrite negate_total, (same_coefficients (fun x => (- value x, coefficient x))) in le by reflexivity.
    cbn in le. lia.
Qed.

Lemma mean_bounds xs : weighted xs -> xs <> [] ->
  exists low high, In low xs /\ In high xs /\ (ratio low <= mean xs)%Q /\ (mean xs <= ratio high)%Q.
Proof.
  intros all some. pose proof (total_coefficient_pos xs all some).
  destruct (least_below xs all some) as (low & there & le).
  destruct (greatest_above xs all some) as (high & there' & ge).
  exists low, high. pose proof (proj1 (Forall_forall _ _) all) as each.
  pose proof (each low there). pose proof (each high there').
  repeat split; [assumption|assumption|apply ratio_le|apply ratio_le]; assumption.
Qed.

Lemma disjoint_mean_agreeing xs : gamma xs <> 0 -> disjoint_mean xs = mean (agreeing xs).
Proof. intros some. unfold disjoint_mean, ties_sums. now rewrite (proj2 (Z.eqb_neq _ _) some). Qed.

Lemma disjoint_mean_bounds xs : weighted xs -> gamma xs <> 0 ->
  exists low high, In low (agreeing xs) /\ In high (agreeing xs) /\
  (ratio low <= disjoint_mean xs)%Q /\ (disjoint_mean xs <= ratio high)%Q.
Proof.
  intros all some. rewrite (disjoint_mean_agreeing xs some).
  apply mean_bounds; [now apply weighted_filter|now apply someone_agrees].
Qed.

(** * Scaling and signs *)

Definition amplify (k : Z) (x : vote) : vote := (k * value x, coefficient x).
Definition rescale (k : Z) (x : vote) : vote := (k * value x, k * coefficient x).

Lemma amplify_total k xs : total_value (map (amplify k) xs) = k * total_value xs.
Proof. induction xs as [|x xs IH]; cbn [map]; rewrite ?total_value_cons, ?IH; cbn; lia. Qed.

Lemma rescale_total k xs : total_value (map (rescale k) xs) = k * total_value xs.
Proof. induction xs as [|x xs IH]; cbn [map]; rewrite ?total_value_cons, ?IH; cbn; lia. Qed.

Lemma rescale_coefficients k xs : total_coefficient (map (rescale k) xs) = k * total_coefficient xs.
Proof. induction xs as [|x xs IH]; cbn [map]; rewrite ?total_coefficient_cons, ?IH; cbn; lia. Qed.

Lemma sign_agrees k z sign : k <> 0 -> (Z.sgn (k * z) =? Z.sgn k * sign) = (Z.sgn z =? sign).
Proof.
  intros some. rewrite Z.sgn_mul. destruct (Z.eqb_spec (Z.sgn z) sign) as [->|other]; [apply Z.eqb_refl|].
  apply Z.eqb_neq. intros eq. apply Z.mul_reg_l in eq; lia.
Qed.

Lemma agreeing_map f k xs : k <> 0 -> (forall x, value (f x) = k * value x) ->
  gamma (map f xs) = Z.sgn k * gamma xs -> agreeing (map f xs) = map f (agreeing xs).
Proof.
  intros some scaled elected. unfold agreeing. rewrite filter_of_map, elected. f_equal. apply filter_ext. intros x.
  unfold agrees. rewrite scaled, sign_agrees by assumption. f_equal. f_equal.
  destruct (Z.eqb_spec (gamma xs) 0) as [->|other]; [now rewrite Z.mul_0_r|]. apply Z.eqb_neq. lia.
Qed.

Lemma gamma_amplify k xs : gamma (map (amplify k) xs) = Z.sgn k * gamma xs.
Proof. unfold gamma. now rewrite amplify_total, Z.sgn_mul. Qed.

Lemma gamma_rescale k xs : gamma (map (rescale k) xs) = Z.sgn k * gamma xs.
Proof. unfold gamma. now rewrite rescale_total, Z.sgn_mul. Qed.

Lemma ties_sums_amplify k xs : k <> 0 ->
  ties_sums (map (amplify k) xs) = (k * fst (ties_sums xs), snd (ties_sums xs)).
Proof.
  intros some. unfold ties_sums. rewrite (agreeing_map (amplify k) k) by (auto using gamma_amplify).
  rewrite gamma_amplify, amplify_total, (same_coefficients (amplify k)) by reflexivity.
  destruct (Z.eqb_spec (gamma xs) 0) as [->|other]; cbn [fst snd].
  - now rewrite !Z.mul_0_r.
  - replace (Z.sgn k * gamma xs =? 0) with false; [reflexivity|]. symmetry. apply Z.eqb_neq. lia.
Qed.

Lemma ties_sums_rescale k xs : 0 < k ->
  (ratio (ties_sums (map (rescale k) xs)) == ratio (ties_sums xs))%Q.
Proof.
  intros pos. unfold ties_sums. rewrite (agreeing_map (rescale k) k) by (auto using gamma_rescale with zarith).
  rewrite gamma_rescale, rescale_total, rescale_coefficients, Z.sgn_pos, Z.mul_1_l by assumption.
  destruct (gamma xs =? 0); [reflexivity|]. unfold ratio. cbn [fst snd]. rewrite !inject_Z_mult.
  unfold Qdiv. rewrite Qinv_mult_distr.
  setoid_replace (inject_Z k * inject_Z (total_value (agreeing xs)) *
    (/ inject_Z k * / inject_Z (total_coefficient (agreeing xs))))%Q
    with ((inject_Z k * / inject_Z k) *
      (inject_Z (total_value (agreeing xs)) * / inject_Z (total_coefficient (agreeing xs))))%Q by ring.
  rewrite Qmult_inv_r; [ring|]. change 0%Q with (inject_Z 0). rewrite inject_Z_injective. lia.
Qed.

Lemma disjoint_mean_amplify k xs : (disjoint_mean (map (amplify k) xs) == inject_Z k * disjoint_mean xs)%Q.
Proof.
  unfold disjoint_mean. destruct (Z.eq_dec k 0) as [->|some].
  - assert (none : gamma (map (amplify 0) xs) = 0) by now rewrite gamma_amplify.
    unfold ties_sums at 1. rewrite none. cbn [Z.eqb]. rewrite ratio_zero. change (inject_Z 0) with 0%Q. ring.
  - rewrite ties_sums_amplify, ratio_scale by assumption. now destruct (ties_sums xs).
Qed.

Lemma disjoint_mean_negate xs :
  (disjoint_mean (map (fun x => (- value x, coefficient x)%Z) xs) == - disjoint_mean xs)%Q.
Proof.
  rewrite (map_ext _ (amplify (-1))) by (intros x; unfold amplify; f_equal; lia).
  rewrite disjoint_mean_amplify. change (inject_Z (-1)) with (- (1))%Q. ring.
Qed.

(** * Few votes, and votes of one sign *)

Lemma disjoint_mean_one x : (disjoint_mean [x] == ratio x)%Q.
Proof.
  destruct x as [v c]. unfold disjoint_mean, ties_sums, agreeing, gamma, agrees, total_value, total_coefficient. cbn.
  rewrite Z.add_0_r. destruct (Z.eqb_spec (Z.sgn v) 0) as [zero|some].
  - apply Z.sgn_null_iff in zero as ->. now rewrite !ratio_zero.
  - rewrite Z.eqb_refl. cbn. now rewrite !Z.add_0_r.
Qed.

Lemma one_sign sign xs : sign <> 0 -> xs <> [] ->
  Forall (fun x => Z.sgn (value x) = sign) xs -> disjoint_mean xs = mean xs.
Proof.
  intros some more all. assert (elected : gamma xs = sign) by now apply total_value_sign.
  rewrite disjoint_mean_agreeing by congruence. f_equal. unfold agreeing. rewrite elected.
  induction all as [|x rest one all IH]; [contradiction|]. cbn [filter]. unfold agrees at 1.
  rewrite one, Z.eqb_refl, (proj2 (Z.eqb_neq _ _) some). cbn [negb andb]. f_equal.
  clear - all some. induction all as [|x rest one all IH]; [reflexivity|]. cbn [filter]. unfold agrees at 1.
  now rewrite one, Z.eqb_refl, (proj2 (Z.eqb_neq _ _) some), IH.
Qed.

(** A contribution counted twice weighs twice. *)
Lemma counted_twice : (disjoint_mean [(1%Z, 1%Z); (3%Z, 1%Z)] == 2 /\
  disjoint_mean [(1%Z, 1%Z); (3%Z, 1%Z); (3%Z, 1%Z)] == 7 # 3)%Q.
Proof. now vm_compute. Qed.
