(** Products, and the chain of roundings. *)

From Coq Require Import ZArith Reals Lia Lra List Permutation.
From Flocq Require Import Core.Core Sterbenz.
From MergeAlgebra.Definitions Require Import Bits Rounding Floats FloatsCode.
From MergeAlgebra.Lemmas Require Import FloatsNumbers FloatsSums FloatsMethods.
Import ListNotations.
Open Scope R_scope.

(** * Products of two fp32 numbers *)

Lemma product_has_format x y : has_format F32 x -> has_format F32 y -> has_format F64 (x * y).
Proof.
intros Fx Fy. apply (format_of_grid F64 (grid_exponent x + grid_exponent y)).
- apply on_grid_mult; now apply (on_grid_of_format F32), Z.le_refl.
- pose proof (least_grid_exponent x). pose proof (least_grid_exponent y).
  change (least_exponent F64) with (-1074)%Z. lia.
- rewrite Rabs_mult. apply Rle_trans with (2^(24 + grid_exponent x) * 2^(24 + grid_exponent y)).
  + apply Rmult_le_compat; try apply Rabs_pos; apply Rlt_le, magnitude_below_grid.
  + rewrite <- bpow_plus. apply bpow_le. change (precision F64) with 53%Z. lia.
Qed.

Theorem product_is_exact x y : has_format F32 x -> has_format F32 y -> RN64 (x * y) = x * y.
Proof. intros. now apply RN_number, product_has_format. Qed.

Theorem product_is_zero x y : has_format F32 x -> has_format F32 y -> RN64 (x * y) = 0 <-> x = 0 \/ y = 0.
Proof.
intros Fx Fy. rewrite product_is_exact by assumption. split; [apply Rmult_integral | intros [-> | ->]; ring].
Qed.

Theorem contraction_is_harmless base lambda32 tau_m : has_format F32 lambda32 -> has_format F32 tau_m ->
  applied base lambda32 tau_m = applied_contracted base lambda32 tau_m /\
  applied base lambda32 tau_m = RN64 (base + lambda32 * tau_m).
Proof.
intros Fl Ft. unfold applied, applied_contracted. rewrite product_is_exact by assumption.
rewrite (Rmult_comm tau_m). now split.
Qed.

(** * The chain *)

Theorem chain_is_monotone x y : x <= y -> RN32 (RN64 x) <= RN32 (RN64 y).
Proof. intros H. now apply RN_le, RN_le. Qed.

Theorem chain_keeps_fp32 x : has_format F32 x -> RN32 (RN64 x) = x.
Proof. intros H. rewrite (RN_number F64); [now apply RN_number | now apply format32_is_format64]. Qed.

Theorem chain_keeps_bounds low high x : has_format F32 low -> has_format F32 high ->
  low <= x <= high -> low <= RN32 (RN64 x) <= high.
Proof.
intros Fl Fh [L H]. rewrite <- (chain_keeps_fp32 low Fl), <- (chain_keeps_fp32 high Fh) at 1.
split; now apply chain_is_monotone.
Qed.

Theorem chain_keeps_signs x : (0 <= x -> 0 <= RN32 (RN64 x)) /\ (x <= 0 -> RN32 (RN64 x) <= 0).
Proof.
assert (Z : RN32 (RN64 0) = 0) by now rewrite !RN_0.
split; intros H; rewrite <- Z; now apply chain_is_monotone.
Qed.

Theorem chain_is_odd x : RN32 (RN64 (- x)) = - RN32 (RN64 x).
Proof. now rewrite !RN_opp. Qed.

(** A sum of two fp64 numbers does not underflow. *)
Theorem sum_is_zero x y : has_format F64 x -> has_format F64 y -> RN64 (x + y) = 0 <-> x + y = 0.
Proof.
intros Fx Fy. split; [| intros ->; apply RN_0]. intros H.
assert (G : on_grid (-1074) (x + y)) by (apply on_grid_plus; now apply (on_least_grid F64)).
destruct (Req_dec (x + y) 0) as [| N]; [assumption | exfalso].
assert (L : 2^(-1074) <= Rabs (RN64 (x + y))).
{ rewrite <- RN_abs. apply RN_at_least; [apply has_format_two; now compute |].
  destruct G as [m E]. rewrite E in N |- *. rewrite Rabs_mult, (Rabs_pos_eq (2^(-1074))) by auto.
  rewrite <- (Rmult_1_l (2^(-1074))) at 1. apply Rmult_le_compat_r; [auto |].
  rewrite <- abs_IZR. apply IZR_le. assert (m <> 0%Z) by (intros ->; apply N; ring). lia. }
rewrite H, Rabs_R0 in L. pose proof (two_pos (-1074)). lra.
Qed.

(** * Dtypes *)

Lemma format_is_format64 d x : has_format d x -> has_format F64 x.
Proof. destruct d; [auto | apply format32_is_format64 | |]; intros; apply format32_is_format64;
  [now apply bf16_is_format32 | now apply fp16_is_format32]. Qed.

Theorem widening_is_exact d x : d <> F64 -> has_format d x -> has_format F32 x /\ RN32 x = x.
Proof.
intros D H. assert (F : has_format F32 x).
{ destruct d; [now destruct D | exact H | now apply bf16_is_format32 | now apply fp16_is_format32]. }
split; [exact F | now apply RN_number].
Qed.

Lemma narrow_keeps d x : has_format d x -> narrow_R d x = x.
Proof.
intros H. pose proof (RN_number d x H) as E. pose proof (RN_number F64 x (format_is_format64 d x H)) as E64.
destruct d; simpl narrow_R; rewrite E64; [reflexivity | exact E | |].
- rewrite (RN_number F32 x); [exact E | now apply bf16_is_format32].
- rewrite (RN_number F32 x); [exact E | now apply fp16_is_format32].
Qed.

(** * One contribution *)

Lemma rounded_ratio_by_one x : has_format F32 x -> rounded_ratio x 1 = x.
Proof.
intros F. unfold rounded_ratio. assert (F1 : has_format F64 1) by (change 1 with (2^0); apply has_format_two; now compute).
rewrite (RN_number F64 1 F1), (RN_number F64 x) by now apply format32_is_format64.
unfold Rdiv. rewrite Rinv_1, Rmult_1_r. now apply chain_keeps_fp32.
Qed.

Lemma ties_of_one tau : has_format F32 tau -> ties [(tau, 1)] = tau.
Proof.
intros F. assert (R1 : rounded_ratio (sum_of value [(tau, 1)]) (sum_of coefficient [(tau, 1)]) = tau).
{ unfold sum_of; simpl. rewrite !Rplus_0_r. now apply rounded_ratio_by_one. }
unfold ties, gamma. rewrite !sum_of_cons. unfold sum_of at 1. simpl sum. unfold having. simpl filter. simpl value.
rewrite Rplus_0_r. destruct (Rtotal_order tau 0) as [H | [H | H]].
- rewrite Rcompare_Lt by exact H. exact R1.
- rewrite Rcompare_Eq by exact H. now symmetry.
- rewrite Rcompare_Gt by lra. exact R1.
Qed.

Lemma mean_of_one tau : has_format F32 tau -> mean [(tau, 1)] [] = tau.
Proof.
intros F. unfold mean, sum_of; simpl. rewrite !Rplus_0_r. now apply rounded_ratio_by_one.
Qed.

Lemma task_arithmetic_of_one tau : has_format F32 tau -> task_arithmetic [(tau, 1)] = tau.
Proof. intros F. unfold task_arithmetic, sum_of; simpl. rewrite Rplus_0_r. now apply chain_keeps_fp32. Qed.

Theorem one_contribution_gives_it_back d base finetuned :
  has_format d finetuned -> has_format F32 (finetuned - base) ->
  let tau := RN32 (finetuned - base) in
  merged d base 1 (ties [(tau, 1)]) = finetuned /\
  merged d base 1 (mean [(tau, 1)] []) = finetuned /\
  merged d base 1 (task_arithmetic [(tau, 1)]) = finetuned.
Proof.
intros Ff Fd tau. assert (Ft : tau = finetuned - base) by now apply RN_number.
rewrite ties_of_one, mean_of_one, task_arithmetic_of_one by (rewrite Ft; exact Fd).
rewrite Ft. unfold merged. replace (base + 1 * (finetuned - base)) with finetuned by ring.
now rewrite narrow_keeps.
Qed.

(** Such a difference is fp32 when one number is within twice the other (Sterbenz). *)
Theorem close_differences_are_exact d base finetuned : d <> F64 ->
  has_format d base -> has_format d finetuned -> base / 2 <= finetuned <= 2 * base -> has_format F32 (finetuned - base).
Proof.
intros D Fb Ff H. apply (widening_is_exact d); [exact D |].
apply sterbenz; auto with typeclass_instances.
Qed.

(** * Bounds of a mean *)

Lemma ratio_within (xs : list vote) low high :
  xs <> [] -> (Z.of_nat (length xs) <= 2 ^ 29)%Z -> has_format F32 low -> has_format F32 high ->
  Forall (fun x => low <= value x <= high /\ coefficient x = 1) xs ->
  low <= rounded_ratio (sum_of value xs) (sum_of coefficient xs) <= high.
Proof.
intros N Few Fl Fh B.
assert (EW : sum_of coefficient xs = INR (length xs)).
{ clear N Few. induction B as [| x xs [_ E] _ IH]; [reflexivity |]. rewrite sum_of_cons, IH, E. cbn [length].
  rewrite S_INR. ring. }
assert (BS : low * INR (length xs) <= sum_of value xs <= high * INR (length xs)).
{ clear N Few EW. induction B as [| x xs [B _] _ IH]; [unfold sum_of; simpl; lra |]. rewrite sum_of_cons. cbn [length].
  rewrite S_INR. lra. }
set (n := INR (length xs)) in *.
assert (Pn : 0 < n) by (apply lt_0_INR; destruct xs; [now destruct N | simpl; lia]).
assert (Gn : on_grid 0 n) by (exists (Z.of_nat (length xs)); unfold n; rewrite INR_IZR_INZ; simpl; ring).
assert (Bn : n <= 2^29) by (unfold n; rewrite INR_IZR_INZ; change (2^29) with (IZR (2 ^ 29)); now apply IZR_le).
assert (Fn : has_format F64 n).
{ apply (format_of_grid F64 0); [exact Gn | now compute |]. rewrite Rabs_pos_eq by lra.
  eapply Rle_trans; [exact Bn | apply bpow_le]. now compute. }
assert (Fm : forall v, has_format F32 v -> has_format F64 (v * n)).
{ intros v Fv. apply (format_of_grid F64 (grid_exponent v + 0)).
  - apply on_grid_mult; [now apply (on_grid_of_format F32), Z.le_refl | exact Gn].
  - pose proof (least_grid_exponent v). change (least_exponent F64) with (-1074)%Z. lia.
  - rewrite Rabs_mult, (Rabs_pos_eq n) by lra. apply Rle_trans with (2^(24 + grid_exponent v) * 2^29).
    + apply Rmult_le_compat; try apply Rabs_pos; try lra. apply Rlt_le, magnitude_below_grid.
    + rewrite <- bpow_plus. apply bpow_le. change (precision F64) with 53%Z. lia. }
unfold rounded_ratio. rewrite EW, (RN_number F64 n Fn). apply chain_keeps_bounds; [exact Fl | exact Fh |].
assert (L : low * n <= RN64 (sum_of value xs)) by (apply RN_at_least; [now apply Fm | apply BS]).
assert (H : RN64 (sum_of value xs) <= high * n) by (apply RN_at_most; [now apply Fm | apply BS]).
unfold Rdiv. split.
- apply Rmult_le_reg_r with n; [exact Pn |]. rewrite Rmult_assoc, Rinv_l by lra. lra.
- apply Rmult_le_reg_r with n; [exact Pn |]. rewrite Rmult_assoc, Rinv_l by lra. lra.
Qed.

Lemma having_nonempty votes : gamma votes <> Eq -> having (gamma votes) votes <> [].
Proof.
unfold gamma. intros H E. apply H. clear H.
destruct (Rtotal_order (sum_of value votes) 0) as [L | [L | L]]; [| now apply Rcompare_Eq |]; exfalso.
- rewrite Rcompare_Lt in E by exact L.
  assert (H : sum_of (fun _ => 0) votes <= sum_of value votes).
  { apply sum_of_le. intros x Hx. apply Rnot_lt_le. intros C.
    assert (I : In x (having Lt votes)) by (apply filter_In; split; [exact Hx | now rewrite Rcompare_Lt]).
    now rewrite E in I. }
  rewrite sum_of_zeros in H. lra.
- rewrite Rcompare_Gt in E by lra.
  assert (H : sum_of value votes <= sum_of (fun _ => 0) votes).
  { apply sum_of_le. intros x Hx. apply Rnot_lt_le. intros C.
    assert (I : In x (having Gt votes)) by (apply filter_In; split; [exact Hx | now rewrite Rcompare_Gt]).
    now rewrite E in I. }
  rewrite sum_of_zeros in H. lra.
Qed.

Lemma filter_shorter {A} (p : A -> bool) xs : (length (filter p xs) <= length xs)%nat.
Proof. induction xs; simpl; [lia | destruct (p a); simpl; lia]. Qed.

Theorem ties_is_within votes low high :
  gamma votes <> Eq -> (Z.of_nat (length votes) <= 2 ^ 29)%Z -> has_format F32 low -> has_format F32 high ->
  (forall x, In x votes -> coefficient x = 1) ->
  (forall x, In x (having (gamma votes) votes) -> low <= value x <= high) ->
  low <= ties votes <= high.
Proof.
intros G Few Fl Fh One B.
set (agreeing := having (gamma votes) votes).
assert (E : ties votes = rounded_ratio (sum_of value agreeing) (sum_of coefficient agreeing)).
{ unfold ties. destruct (gamma votes); [now destruct G | reflexivity | reflexivity]. }
rewrite E. apply ratio_within; try assumption.
- now apply having_nonempty.
- eapply Z.le_trans; [| exact Few]. apply inj_le. apply filter_shorter.
- apply Forall_forall. intros x Hx. split; [now apply B |]. apply One. unfold having in Hx. now apply filter_In in Hx.
Qed.

Theorem mean_is_within votes low high :
  votes <> [] -> (Z.of_nat (length votes) <= 2 ^ 29)%Z -> has_format F32 low -> has_format F32 high ->
  (forall x, In x votes -> coefficient x = 1 /\ low <= value x <= high) ->
  low <= mean votes [] <= high.
Proof.
intros N Few Fl Fh B. unfold mean. rewrite app_nil_r. apply (ratio_within votes); try assumption.
apply Forall_forall. intros x Hx. destruct (B x Hx). now split.
Qed.

(** ** Signs *)

Lemma having_sign sign votes x : In x (having sign votes) -> Rcompare (value x) 0 = sign /\ sign <> Eq.
Proof.
unfold having. rewrite filter_In. intros [_ H]. destruct Rcompare, sign; try discriminate H; now split.
Qed.

Lemma rounded_ratio_sign S W : 0 <= W -> (0 <= S -> 0 <= rounded_ratio S W) /\ (S <= 0 -> rounded_ratio S W <= 0).
Proof.
intros HW. assert (W' : 0 <= / RN64 W).
{ destruct (Rle_lt_or_eq_dec 0 (RN64 W) (RN_nonneg F64 W HW)) as [P | P].
  - now apply Rlt_le, Rinv_0_lt_compat.
  - rewrite <- P. rewrite Rinv_0. apply Rle_refl. }
unfold rounded_ratio, Rdiv. split; intros HS; apply chain_keeps_signs.
- apply Rmult_le_pos; [now apply RN_nonneg | exact W'].
- pose proof (RN_nonneg F64 (- S) ltac:(lra)) as N. rewrite RN_opp in N.
  pose proof (Rmult_le_pos _ _ N W'). lra.
Qed.

Theorem ties_has_the_elected_sign votes : (forall x, In x votes -> 0 < coefficient x) ->
  (gamma votes = Gt -> 0 <= ties votes) /\ (gamma votes = Lt -> ties votes <= 0) /\ (gamma votes = Eq -> ties votes = 0).
Proof.
intros P. assert (W : forall sign, 0 <= sum_of coefficient (having sign votes)).
{ intros sign. rewrite <- (sum_of_zeros (having sign votes)).
  apply sum_of_le. intros x Hx. apply Rlt_le, P. unfold having in Hx. now apply filter_In in Hx. }
unfold ties. repeat split; intros G; rewrite G; [| | reflexivity]; apply rounded_ratio_sign; try apply W.
- rewrite <- (sum_of_zeros (having Gt votes)).
  apply sum_of_le. intros x Hx. apply having_sign in Hx as [Hx _]. apply Rcompare_Gt_inv in Hx. lra.
- rewrite <- (sum_of_zeros (having Lt votes)).
  apply sum_of_le. intros x Hx. apply having_sign in Hx as [Hx _]. apply Rcompare_Lt_inv in Hx. lra.
Qed.
