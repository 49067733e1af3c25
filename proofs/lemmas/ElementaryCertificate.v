(** The certificate of elementary functions is sound. *)

From Coq Require Import ZArith Reals Lia Lra.
From Flocq Require Import Core.Core IEEE754.BinarySingleNaN IEEE754.Binary IEEE754.Bits.
From MergeAlgebra.Definitions Require Import Bits Rounding Floats FloatsCode Elementary.
From MergeAlgebra.Lemmas Require Import FloatsNumbers FloatsMachine ElementaryReals ElementaryBits.
Open Scope R_scope.

Theorem factors_are_as_said : Bits.value below_one = 1 - 2^(-48) /\ Bits.value above_one = 1 + 2^(-48).
Proof. split; [apply below_one_is | apply above_one_is]. Qed.

Lemma certificate_is y : certificate y = true <-> b32_compare (low y) (high y) = Some Eq.
Proof. unfold certificate. now destruct b32_compare as [[] |]. Qed.

(** Tiny, huge or in between. *)
Lemma cases f : - 2^160 <= f -> 2^(-160) <= Rabs f <= 2^160 \/ Rabs f < 2^(-160) \/ 2^160 < f.
Proof.
intros B. destruct (Rlt_or_le (Rabs f) (2^(-160))) as [H | H]; [now right; left |].
destruct (Rlt_or_le (2^160) f) as [H' | H']; [now right; right |]. left. split; [exact H |].
apply Rabs_le. now split.
Qed.

Theorem certificate_is_sound f y : - 2^160 <= f -> answers f y -> certificate y = true -> rounds_to f (given y).
Proof.
intros B A C. apply certificate_is in C. unfold given. apply rounds_to_without_sign.
destruct (cases f B) as [M | [T | H]].
- destruct (ends f y A M) as (Fl & Fh & W & _). now apply (stands_between f _ _ _ _ W (narrowed_is _ Fl) (narrowed_is _ Fh)).
- destruct (tiny_ends f y A T) as [[Fl Vl] _]. split; rewrite (tiny_is_zero f T); [now split |].
  rewrite Rabs_R0. intros L. pose proof (two_pos 128). lra.
- destruct (huge_ends f y A H) as [-> _]. destruct (huge_is_huge f H) as [L S]. split; [intros; lra | now rewrite S].
Qed.

Theorem tiny_and_huge_pass f y : answers f y -> Rabs f < 2^(-160) \/ 2^160 < f -> certificate y = true.
Proof.
intros A C. apply certificate_is, equal_is. destruct C as [T | H].
- destruct (tiny_ends f y A T) as [[Fl Vl] [Fh Vh]]. left. repeat split; congruence.
- destruct (huge_ends f y A H) as [-> ->]. right. now exists false.
Qed.

Lemma rational_results_pass f y : answers f y -> f = 0 \/ f = 1 -> certificate y = true.
Proof.
intros A [-> | ->]; [apply (tiny_and_huge_pass 0 y A); left; rewrite Rabs_R0; auto |].
assert (M : 2^(-160) <= Rabs 1 <= 2^160).
{ rewrite Rabs_R1. change 1 with (2^0). split; apply bpow_le; lia. }
destruct (ends 1 y A M) as (Fl & Fh & _ & Vl & Vh). destruct A as (A & _ & _). destruct (A M) as [_ E].
rewrite Rabs_R1, Rmult_1_r in E.
assert (all : forall c, Rabs (c - 1) <= 2^(-48) -> RN32 (RN64 (Bits.value y * c)) = 1).
{ intros c Hc. apply RN32_near_one. set (v := Bits.value y) in *.
  assert (D : 2^(-48) = 2 * 2^(-49)) by (change (-48)%Z with (1 + -49)%Z; now rewrite bpow_plus).
  assert (D' : 2^(-53) = / 16 * 2^(-49)) by (change (-53)%Z with (-4 + -49)%Z; now rewrite bpow_plus).
  assert (D'' : 2^(-26) = 8388608 * 2^(-49)) by (change (-26)%Z with (23 + -49)%Z; now rewrite bpow_plus).
  assert (Q : 0 < 2^(-49) <= / 1024) by (split; [auto |]; change (/ 1024) with (2^(-10)); apply bpow_le; lia).
  rewrite D in Hc. rewrite D''. set (e := 2^(-49)) in *. apply Rabs_le_inv in E, Hc.
  assert (P : Rabs (v * c - 1) <= 4 * e).
  { replace (v * c - 1) with ((v - 1) * (c - 1) + (v - 1) + (c - 1)) by ring.
    assert (X : Rabs ((v - 1) * (c - 1)) <= e * (2 * e)).
    { rewrite Rabs_mult. apply Rmult_le_compat; try apply Rabs_pos; now apply Rabs_le. }
    assert (X' : e * (2 * e) <= e) by (rewrite <- (Rmult_1_r e) at 3; apply Rmult_le_compat_l; lra).
    apply Rabs_le_inv in X. apply Rabs_le. lra. }
  apply Rabs_le_inv in P.
  assert (R : Rabs (RN64 (v * c) - v * c) <= / 16 * e * Rabs (v * c)).
  { rewrite <- D'. apply RN64_relative. rewrite Rabs_pos_eq by lra. apply Rle_trans with (2^(-1)).
    - apply bpow_le. lia.
    - change (2^(-1)) with (/ 2). lra. }
  rewrite (Rabs_pos_eq (v * c)) in R by lra.
  assert (R' : / 16 * e * (v * c) <= / 16 * e * 2) by (apply Rmult_le_compat_l; lra).
  apply Rabs_le_inv in R. apply Rabs_le. lra. }
assert (one : Rabs (RN32 1) < 2^128).
{ assert (F1 : has_format F32 1) by (change 1 with (2^0); apply has_format_two; now compute).
  rewrite (RN_number F32 1 F1), Rabs_R1. change 1 with (2^0). apply bpow_lt. lia. }
assert (N : RN32 1 = 1) by (apply RN_number; change 1 with (2^0); apply has_format_two; now compute).
rewrite N in one.
destruct (narrowed_is _ Fl) as [Sl _], (narrowed_is _ Fh) as [Sh _]. rewrite Vl, all in Sl. 1: rewrite Vh, all in Sh.
- destruct (Sl one) as [Fl' Vl'], (Sh one) as [Fh' Vh']. apply certificate_is, equal_is. left.
  unfold low, high. repeat split; try assumption. congruence.
- replace (1 + 2^(-48) - 1) with (2^(-48)) by ring. rewrite Rabs_pos_eq; [apply Rle_refl | auto].
- replace (1 - 2^(-48) - 1) with (- 2^(-48)) by ring. rewrite Rabs_Ropp, Rabs_pos_eq; [apply Rle_refl | auto].
Qed.

Theorem rational_results_are_certified y :
  answers (exp 0) y \/ answers (ln 1) y \/ answers (tanh 0) y -> certificate y = true.
Proof.
destruct rational_arguments as (-> & -> & ->). intros [A | A]; [now apply (rational_results_pass 1); [| right] |].
apply (rational_results_pass 0); [tauto | now left].
Qed.

(** * The functions *)

Theorem exp_is_rounded (x y : number F64) :
  answers (exp (Bits.value x)) y -> certificate y = true -> rounds_to (exp (Bits.value x)) (given y).
Proof. apply certificate_is_sound, exp_is_above. Qed.

Theorem tanh_is_rounded (x y : number F64) :
  answers (tanh (Bits.value x)) y -> certificate y = true -> rounds_to (tanh (Bits.value x)) (given y).
Proof. apply certificate_is_sound, tanh_is_above. Qed.

Theorem log_is_rounded (x y : number F64) : 0 < Bits.value x ->
  answers (ln (Bits.value x)) y -> certificate y = true -> rounds_to (ln (Bits.value x)) (given y).
Proof. intros P. apply certificate_is_sound, ln_is_above; [exact (proj1 (value_is_number F64 x)) | exact P]. Qed.

Theorem answers_can_be_met f y :
  (Rabs (RN64 f) < 2^1024 -> finite y = true /\ Bits.value y = RN64 f) ->
  (2^1024 <= Rabs (RN64 f) -> y = B754_infinity _ _ false) -> answers f y.
Proof.
intros S L.
assert (small : Rabs f <= 2^160 -> finite y = true /\ Bits.value y = RN64 f).
{ intros B. apply S. rewrite <- RN_abs. apply Rle_lt_trans with (2^160); [| apply bpow_lt; lia].
  apply RN_at_most; [apply has_format_two; now compute | exact B]. }
repeat split.
- now apply small.
- destruct (small (proj2 H)) as [_ ->]. eapply Rle_trans.
  + apply RN64_relative. eapply Rle_trans; [| exact (proj1 H)]. apply bpow_le. lia.
  + apply Rmult_le_compat_r; [apply Rabs_pos | apply bpow_le; lia].
- apply small. apply Rlt_le, Rlt_trans with (1 := H), bpow_lt. lia.
- destruct small as [_ ->]; [apply Rlt_le, Rlt_trans with (1 := H), bpow_lt; lia |].
  rewrite <- RN_abs. apply RN_at_most; [apply has_format_two; now compute |].
  apply Rlt_le, Rlt_trans with (1 := H), bpow_lt. lia.
- intros B. destruct (Rlt_or_le (Rabs (RN64 f)) (2^1024)) as [H | H]; [right | left; now apply L].
  destruct (S H) as [F ->]. split; [exact F |]. apply RN_at_least; [apply has_format_two; now compute |].
  apply Rlt_le, Rlt_trans with (2 := B), bpow_lt. lia.
Qed.

(** * Integers *)

Theorem enclosures_are_enough f a b r : a <= f <= b -> rounds_to a r -> rounds_to b r -> rounds_to f r.
Proof.
intros W A B. assert (S : forall g, rounds_to g r -> stands_for g r).
{ intros g [S L]. split; [intros H; destruct (S H) as (F & V & _); now split | exact L]. }
assert (E : b32_compare r r = Some Eq).
{ apply equal_is. destruct (Rlt_or_le (Rabs (RN32 a)) (2^128)) as [H | H]; [left | right].
  - now destruct (proj1 A H) as [F _].
  - rewrite (proj2 A H). now exists (Rlt_bool a 0). }
destruct (stands_between f a b r r (or_introl W) (S a A) (S b B) E) as [Sf Lf].
split; [intros H; destruct (Sf H) as [F V]; repeat split; try assumption | exact Lf].
intros Z. rewrite Z in V. destruct A as [Sa La]. destruct (Rlt_or_le (Rabs (RN32 a)) (2^128)) as [Ha | Ha].
- destruct (Sa Ha) as (_ & Va & Za). apply Za. congruence.
- rewrite (La Ha) in F. discriminate F.
Qed.

(** * One number *)

Theorem one_number f r s : rounds_to f r -> rounds_to f s -> r = s.
Proof.
intros [Sr Lr] [Ss Ls]. destruct (Rlt_or_le (Rabs (RN32 f)) (2^128)) as [H | H].
- destruct (Sr H) as (Fr & Vr & Zr), (Ss H) as (Fs & Vs & Zs).
  destruct (Req_dec (RN32 f) 0) as [Z | N].
  + apply (B2R_Bsign_inj 24 128); [exact Fr | exact Fs | exact (eq_trans Vr (eq_sym Vs)) |].
    exact (eq_trans (Zr Z) (eq_sym (Zs Z))).
  + assert (strict : forall t : number F32, finite t = true -> Bits.value t = RN32 f -> is_finite_strict _ _ t = true).
    { intros t Ft Vt. destruct t; try discriminate Ft; [| reflexivity]. now destruct N. }
    apply (B2R_inj 24 128); [now apply strict | now apply strict | exact (eq_trans Vr (eq_sym Vs))].
- now rewrite (Lr H), (Ls H).
Qed.
