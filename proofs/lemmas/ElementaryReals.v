(** The certificate of elementary functions: what it needs of real numbers. *)

From Coq Require Import ZArith Reals Lia Lra.
From Flocq Require Import Core.Core Relative.
From MergeAlgebra.Definitions Require Import Bits Rounding Floats Elementary.
From MergeAlgebra.Lemmas Require Import FloatsNumbers.
Open Scope R_scope.

(** * Roundings *)

Lemma RN32_tiny x : Rabs x < 2^(-150) -> RN32 x = 0.
Proof.
intros H. destruct (Req_dec x 0) as [-> | N]; [apply RN_0 |].
apply round_N_small with (mag radix2 x : Z).
- split; [now apply bpow_mag_le | apply bpow_mag_gt].
- assert (mag radix2 x <= -150)%Z by now apply mag_le_bpow.
  unfold FLT_exp. change (least_exponent F32) with (-149)%Z. lia.
Qed.

Lemma RN64_relative x : 2^(-1022) <= Rabs x -> Rabs (RN64 x - x) <= 2^(-53) * Rabs x.
Proof.
intros H. pose proof (relative_error_N_FLT radix2 (-1074) 53 eq_refl (fun n => negb (Z.even n)) x H) as E.
replace (2^(-53)) with (/ 2 * 2^(-53 + 1)); [exact E |].
change (-53 + 1)%Z with (-52)%Z. change (-53)%Z with (-1 + -52)%Z. now rewrite bpow_plus.
Qed.

(** What is near 1 is rounded to 1: numbers there are a grid of 2^-24. *)
Lemma RN32_near_one x : Rabs (x - 1) <= 2^(-26) -> RN32 x = 1.
Proof.
intros H. assert (F1 : has_format F32 1) by (change 1 with (2^0); apply has_format_two; now compute).
destruct (round_N_pt radix2 (FLT_exp (least_exponent F32) (precision F32)) (fun n => negb (Z.even n)) x) as [_ nearest].
specialize (nearest 1 F1). change (round _ _ _ x) with (RN32 x) in nearest.
rewrite (Rabs_minus_sym 1) in nearest. set (r := RN32 x) in *.
assert (C : Rabs (r - 1) <= 2^(-25)).
{ replace (r - 1) with ((r - x) + (x - 1)) by ring. eapply Rle_trans; [apply Rabs_triang |].
  change (-25)%Z with (1 + -26)%Z. rewrite bpow_plus. change (2^1) with 2. lra. }
assert (T : 2^(-25) <= / 2) by (change (/ 2) with (2^(-1)); apply bpow_le; lia).
assert (L : 2^(-1) <= Rabs r).
{ change (2^(-1)) with (/ 2). unfold Rabs in C |- *. destruct (Rcase_abs (r - 1)), (Rcase_abs r); lra. }
assert (G : on_grid (-24) (r - 1)).
{ apply on_grid_minus.
  - apply (on_grid_of_format F32); [apply RN_has_format |]. unfold cexp, FLT_exp.
    assert (0 <= mag radix2 r)%Z by (apply mag_ge_bpow; exact L). change (precision F32) with 24%Z. lia.
  - exists (2 ^ 24)%Z. change (IZR (2 ^ 24)) with (2^24). rewrite <- bpow_plus. reflexivity. }
destruct G as [n E]. rewrite E, Rabs_mult, (Rabs_pos_eq (2^(-24))) in C by auto.
assert (n = 0)%Z as ->; [| rewrite Rmult_0_l in E; lra].
assert (B : Rabs (IZR n) < 1).
{ apply Rmult_lt_reg_r with (2^(-24)); [auto |]. eapply Rle_lt_trans; [exact C |]. rewrite Rmult_1_l.
  apply bpow_lt. lia. }
rewrite <- abs_IZR in B. apply lt_IZR in B. lia.
Qed.

(** * The ends *)

Lemma enclosed_positive f y : 2^(-160) <= f -> Rabs (y - f) <= 2^(-49) * f ->
  0 < RN64 (y * (1 - 2^(-48))) <= f /\ f <= RN64 (y * (1 + 2^(-48))) <= 2 * f.
Proof.
intros Hf Hy. assert (P : 0 < f) by (eapply Rlt_le_trans; [| exact Hf]; auto).
set (e := 2^(-49)) in *.
assert (E : 0 < e <= / 1024).
{ split; [unfold e; auto |]. change (/ 1024) with (2^(-10)). unfold e. apply bpow_le. lia. }
assert (E2 : 2^(-48) = 2 * e) by (change (-48)%Z with (1 + -49)%Z; now rewrite bpow_plus).
assert (E16 : 2^(-53) = / 16 * e) by (change (-53)%Z with (-4 + -49)%Z; now rewrite bpow_plus).
assert (Q : 2^(-1022) <= / 4 * 2^(-160)).
{ change (/ 4) with (2^(-2)). rewrite <- bpow_plus. apply bpow_le. lia. }
rewrite E2. apply Rabs_le_inv in Hy.
assert (Fe : 0 <= f * e) by (apply Rmult_le_pos; lra).
assert (Fe' : f * e <= f * / 1024) by (apply Rmult_le_compat_l; lra).
assert (Fee : 0 <= f * e * e <= f * e * / 1024) by (split; [apply Rmult_le_pos | apply Rmult_le_compat_l]; lra).
(* Each product, then its rounding. *)
assert (near : forall z, / 4 * f <= z -> z * (1 - / 16 * e) <= RN64 z <= z * (1 + / 16 * e)).
{ intros z Hz. pose proof (RN64_relative z) as R. rewrite Rabs_pos_eq, E16 in R by lra.
  specialize (R ltac:(lra)). apply Rabs_le_inv in R. lra. }
split.
- set (z := y * (1 - 2 * e)).
  assert (Z : / 4 * f <= z <= f - f * e).
  { unfold z. split.
    - apply Rle_trans with ((f - f * e) * (1 - 2 * e)); [lra |]. apply Rmult_le_compat_r; lra.
    - apply Rle_trans with ((f + f * e) * (1 - 2 * e)); [apply Rmult_le_compat_r; lra | lra]. }
  destruct (near z ltac:(lra)) as [L H]. split.
  + eapply Rlt_le_trans; [| exact L]. apply Rmult_lt_0_compat; lra.
  + eapply Rle_trans; [exact H |]. apply Rle_trans with ((f - f * e) * (1 + / 16 * e)); [| lra].
    apply Rmult_le_compat_r; lra.
- set (z := y * (1 + 2 * e)).
  assert (Z : f + / 2 * (f * e) <= z <= f + 4 * (f * e)).
  { unfold z. split.
    - apply Rle_trans with ((f - f * e) * (1 + 2 * e)); [lra |]. apply Rmult_le_compat_r; lra.
    - apply Rle_trans with ((f + f * e) * (1 + 2 * e)); [apply Rmult_le_compat_r; lra | lra]. }
  destruct (near z ltac:(lra)) as [L H]. split.
  + eapply Rle_trans; [| exact L]. apply Rle_trans with ((f + / 2 * (f * e)) * (1 - / 16 * e)); [lra |].
    apply Rmult_le_compat_r; lra.
  + eapply Rle_trans; [exact H |]. apply Rle_trans with ((f + 4 * (f * e)) * (1 + / 16 * e)); [| lra].
    apply Rmult_le_compat_r; lra.
Qed.

Theorem ends_enclose f y : 2^(-160) <= Rabs f -> Rabs (y - f) <= 2^(-49) * Rabs f ->
  let l := RN64 (y * (1 - 2^(-48))) in
  let h := RN64 (y * (1 + 2^(-48))) in
  within l h f /\ Rabs l <= 2 * Rabs f /\ Rabs h <= 2 * Rabs f.
Proof.
intros Hf Hy l h. destruct (Rcase_abs f) as [N | P].
- rewrite (Rabs_left f) in * by exact N.
  destruct (enclosed_positive (- f) (- y)) as [L H]; [exact Hf | |].
  + rewrite <- Rabs_Ropp. replace (- (- y - - f)) with (y - f) by ring. exact Hy.
  + rewrite !Ropp_mult_distr_l_reverse, !RN_opp in L, H. fold l h in L, H.
    repeat split; [right; lra | |]; rewrite Rabs_left; lra.
- rewrite (Rabs_pos_eq f) in * by lra. destruct (enclosed_positive f y Hf Hy) as [L H]. fold l h in L, H.
  repeat split; [left; lra | |]; rewrite Rabs_pos_eq; lra.
Qed.

Theorem enclosures_round_alike f l h : within l h f -> RN32 l = RN32 h -> RN32 f = RN32 l.
Proof.
intros [[L H] | [L H]] E; apply Rle_antisym.
- rewrite E. now apply RN_le.
- now apply RN_le.
- now apply RN_le.
- rewrite E. now apply RN_le.
Qed.

Lemma enclosed_overflow f a b : within a b f -> Rlt_bool a 0 = Rlt_bool b 0 ->
  2^128 <= Rabs (RN32 a) -> 2^128 <= Rabs (RN32 b) -> 2^128 <= Rabs (RN32 f) /\ Rlt_bool f 0 = Rlt_bool a 0.
Proof.
intros W S A B. rewrite <- !RN_abs in *. destruct (Rlt_or_le a 0) as [N | N].
- rewrite (Rlt_bool_true _ _ N) in S |- *. symmetry in S.
  assert (N' : b < 0) by (revert S; case Rlt_bool_spec; [easy | discriminate]).
  assert (Nf : f < 0) by (destruct W; lra). split; [| now apply Rlt_bool_true].
  rewrite Rabs_left in * by assumption. destruct W as [W | W].
  + eapply Rle_trans; [exact B |]. apply RN_le. lra.
  + eapply Rle_trans; [exact A |]. apply RN_le. lra.
- rewrite (Rlt_bool_false _ _ N) in S |- *. symmetry in S.
  assert (N' : 0 <= b) by (revert S; case Rlt_bool_spec; [discriminate | easy]).
  assert (Nf : 0 <= f) by (destruct W; lra). split; [| now apply Rlt_bool_false].
  rewrite Rabs_pos_eq in * by assumption. destruct W as [W | W].
  + eapply Rle_trans; [exact A |]. apply RN_le. lra.
  + eapply Rle_trans; [exact B |]. apply RN_le. lra.
Qed.

(** * The functions *)

Lemma exp_is_above x : - 2^160 <= exp x.
Proof. pose proof (exp_pos x). pose proof (two_pos 160). lra. Qed.

Lemma tanh_is_above x : - 2^160 <= tanh x.
Proof.
assert (P : 0 < cosh x) by (unfold cosh; pose proof (exp_pos x); pose proof (exp_pos (- x)); lra).
assert (Q : 1 <= 2^160) by (change 1 with (2^0); apply bpow_le; lia).
apply Rle_trans with (-1); [lra |]. unfold tanh. apply Rmult_le_reg_r with (cosh x); [exact P |].
unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. unfold sinh, cosh. pose proof (exp_pos x). lra.
Qed.

(** The least positive fp64 number is 2^-1074. *)
Lemma ln_is_above x : has_format F64 x -> 0 < x -> - 2^160 <= ln x.
Proof.
intros F P. assert (B : 2^(-1074) <= x).
{ destruct (on_least_grid F64 x F) as [n E]. change (least_exponent F64) with (-1074)%Z in E. rewrite E in P |- *.
  assert (0 < IZR n) by (apply Rmult_lt_reg_r with (2^(-1074)); [auto | lra]).
  rewrite <- (Rmult_1_l (2^(-1074))) at 1. apply Rmult_le_compat_r; [auto |]. apply IZR_le.
  assert (0 < n)%Z by now apply lt_IZR. lia. }
assert (L : ln (2^(-1074)) = -1074 * ln 2) by now rewrite bpow_exp, ln_exp.
assert (L2 : ln 2 < 1).
{ rewrite <- (ln_exp 1). apply ln_increasing; [lra |]. pose proof (exp_ineq1 1). lra. }
assert (Q : 1074 <= 2^160) by (apply Rle_trans with (2^11); [cbn; lra | apply bpow_le; lia]).
assert (M : ln (2^(-1074)) <= ln x).
{ destruct B as [B | <-]; [left; apply ln_increasing; auto | right; reflexivity]. }
lra.
Qed.

Lemma rational_arguments : exp 0 = 1 /\ ln 1 = 0 /\ tanh 0 = 0.
Proof. repeat split; [apply exp_0 | apply ln_1 |]. unfold tanh, sinh. rewrite Ropp_0. unfold Rdiv. ring. Qed.
