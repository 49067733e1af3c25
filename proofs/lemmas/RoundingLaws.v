(** What the rounding functions give, said of real numbers; and bits there and back. *)

From Coq Require Import ZArith Reals Bool Lia Lra Psatz.
From Flocq Require Import Core.Core IEEE754.BinarySingleNaN IEEE754.Binary IEEE754.Bits.
From MergeAlgebra.Definitions Require Import Bits Rounding.

Open Scope Z_scope.

#[global] Instance valid_exponents d : Valid_exp (FLT_exp (least_exponent d) (precision d)).
Proof. apply FLT_exp_valid. exact (precision_is_positive d). Qed.

(** * Bits *)

Lemma of_bits_to_bits d (x : number d) : of_bits d (to_bits d x) = x.
Proof. apply binary_float_of_bits_of_binary_float. Qed.

Lemma to_bits_of_bits d b : are_bits d b -> to_bits d (of_bits d b) = b.
Proof. intros range. now apply bits_of_binary_float_of_bits. Qed.

Lemma to_bits_range d (x : number d) : are_bits d (to_bits d x).
Proof.
  apply (bits_of_binary_float_range (fraction_bits d) (exponent_bits d)
           (fraction_is_positive d) (exponent_is_positive d)).
Qed.

Lemma same_number d (x y : number d) :
  finite x = true -> finite y = true -> value x = value y -> sign x = sign y -> x = y.
Proof. intros. now apply B2R_Bsign_inj. Qed.

(** * Exact values *)

Lemma exact_value d (x : number d) f : exact x = Some f -> finite x = true /\ value x = F2R f.
Proof.
  unfold value. destruct x as [s|s|s pl Hpl|s m e H]; cbn; intros [= <-]; split; try reflexivity.
  unfold F2R. cbn. lra.
Qed.

Lemma exact_some d (x : number d) : finite x = true -> exists f, exact x = Some f.
Proof. destruct x; cbn; try discriminate; eauto. Qed.

Lemma exact_none d (x : number d) : exact x = None <-> finite x = false.
Proof. destruct x; cbn; split; congruence. Qed.

Lemma real_zero : real 0 = 0%R.
Proof. unfold real, of_numerator, F2R. cbn. lra. Qed.

Lemma real_eq_zero n : real n = 0%R -> n = 0.
Proof. intros zero. exact (eq_0_F2R radix2 n grid zero). Qed.

Lemma exponent_on_grid s m e H : grid <= e ->
  numerator (B754_finite _ _ s m e H : number F32) = Some (cond_Zopp s (Zpos m) * 2 ^ (e - grid)).
Proof. intros below. unfold numerator. cbn [exact Fnum Fexp]. rewrite Z.shiftl_mul_pow2 by lia. reflexivity. Qed.

Lemma bounded_below (m : positive) e :
  SpecFloat.bounded (precision F32) (most_exponent F32) m e = true -> grid <= e.
Proof.
  intros [canonical _]%andb_prop. apply Zeq_bool_eq in canonical. rewrite <- canonical.
  unfold SpecFloat.fexp. etransitivity; [|apply Z.le_max_r]. reflexivity.
Qed.

Lemma numerator_value (x : number F32) n : numerator x = Some n -> finite x = true /\ value x = real n.
Proof.
  destruct x as [s|s|s pl Hpl|s m e H]; try discriminate.
  - unfold numerator. cbn [exact Fnum Fexp]. rewrite Z.shiftl_0_l. intros [= <-]. now rewrite real_zero.
  - pose proof (bounded_below _ _ H) as below. rewrite exponent_on_grid by exact below.
    intros [= <-]. split; [reflexivity|].
    unfold value, real, of_numerator. cbn [B2R]. apply (F2R_change_exp radix2 grid (cond_Zopp s (Zpos m)) e below).
Qed.

Lemma numerator_none (x : number F32) : numerator x = None <-> finite x = false.
Proof. destruct x; cbn; split; congruence. Qed.

Lemma numerator_some (x : number F32) : finite x = true -> exists n, numerator x = Some n.
Proof. destruct x; cbn; try discriminate; eauto. Qed.

(** * Roundings *)

Lemma RN_zero d : RN d 0 = 0%R.
Proof. apply round_0, valid_rnd_N. Qed.

Lemma round_to_correct d (x : dyadic) :
  (if Rlt_bool (Rabs (RN d (F2R x))) (bpow radix2 (most_exponent d))
   then finite (round_to d x) = true /\ value (round_to d x) = RN d (F2R x)
        /\ sign (round_to d x) = Rlt_bool (F2R x) 0
   else finite (round_to d x) = false).
Proof.
  pose proof (binary_normalize_correct (precision d) (most_exponent d) _ _ mode_NE (Fnum x) (Fexp x) false) as law.
  change (F2R {| Fnum := Fnum x; Fexp := Fexp x |}) with (F2R (Float radix2 (Fnum x) (Fexp x))) in law.
  replace (Float radix2 (Fnum x) (Fexp x)) with x in law by now destruct x.
  change (round radix2 (SpecFloat.fexp (precision d) (most_exponent d)) (round_mode mode_NE) (F2R x))
    with (RN d (F2R x)) in law.
  unfold round_to, finite, value, sign. revert law.
  destruct (Rlt_bool_spec (Rabs (RN d (F2R x))) (bpow radix2 (most_exponent d))); intros law.
  - destruct law as (equal & is & signed). repeat split; [exact is|exact equal|rewrite signed].
    unfold Rlt_bool. now destruct (Rcompare (F2R x) 0).
  - now destruct binary_normalize.
Qed.

Lemma round_to_finite d (x : dyadic) :
  finite (round_to d x) = true <-> (Rabs (RN d (F2R x)) < bpow radix2 (most_exponent d))%R.
Proof.
  pose proof (round_to_correct d x) as law. revert law.
  case Rlt_bool_spec; [intros below law|intros above law].
  - split; [intros _; exact below|intros _; apply law].
  - rewrite law. split; [discriminate|lra].
Qed.

Lemma round_to_value d (x : dyadic) : finite (round_to d x) = true ->
  value (round_to d x) = RN d (F2R x) /\ sign (round_to d x) = Rlt_bool (F2R x) 0.
Proof.
  intros is. pose proof (round_to_correct d x) as law.
  destruct Rlt_bool; [tauto|rewrite law in is; discriminate].
Qed.

Lemma convert_value {s} d (x : number s) : finite (convert d x) = true ->
  finite x = true /\ value (convert d x) = RN d (value x) /\ sign (convert d x) = sign x.
Proof.
  destruct x as [sg|sg|sg pl Hpl|sg m e H]; try discriminate.
  - intros _. cbn. rewrite RN_zero. auto.
  - intros is. cbn [convert] in *. apply round_to_value in is as [equal signed]. split; [reflexivity|].
    split; [exact equal|]. rewrite signed. cbn [sign Bsign].
    destruct sg; [apply Rlt_bool_true, F2R_lt_0|apply Rlt_bool_false, F2R_ge_0]; easy.
Qed.

Lemma divide_value (x y : number F64) : value y <> 0%R -> finite (divide x y) = true ->
  finite x = true /\ value (divide x y) = RN F64 (value x / value y).
Proof.
  intros some is. unfold divide, b64_div, finite, value in *.
  pose proof (Bdiv_correct 53 1024 eq_refl eq_refl binop_nan_pl64 mode_NE x y some) as law.
  change (round radix2 (SpecFloat.fexp 53 1024) (round_mode mode_NE)) with (RN F64) in law.
  match type of law with (if ?c then _ else _) => destruct c end.
  - destruct law as (equal & kept & _). split; [exact (eq_trans (eq_sym kept) is)|exact equal].
  - exfalso. match type of is with is_finite _ _ ?z = true => set (quotient := z) in * end.
    match type of law with B2FF _ _ ?z = _ => change z with quotient in law end.
    clearbody quotient. now destruct quotient.
Qed.

(** * The last roundings *)

Lemma narrow_value d (x : dyadic) : finite (narrow d x) = true ->
  value (narrow d x) = narrow_R d (F2R x) /\ sign (narrow d x) = Rlt_bool (F2R x) 0.
Proof.
  destruct d; cbn [narrow narrow_R]; intros is.
  - now apply round_to_value.
  - apply convert_value in is as (is & -> & ->). now apply round_to_value in is as [-> ->].
  - apply convert_value in is as (is & -> & ->). apply convert_value in is as (is & -> & ->).
    now apply round_to_value in is as [-> ->].
  - apply convert_value in is as (is & -> & ->). apply convert_value in is as (is & -> & ->).
    now apply round_to_value in is as [-> ->].
Qed.
