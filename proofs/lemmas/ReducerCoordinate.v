(** One coordinate: what v, tau_m and the result are in real numbers. *)

From Coq Require Import ZArith Reals List Bool Lia Lra.
From Flocq Require Import Core.Core Calc.Operations IEEE754.BinarySingleNaN IEEE754.Binary.
From MergeAlgebra.Definitions Require Import Bits Rounding Reducer ReducerModel.
From MergeAlgebra.Definitions Require Ties Counting.
From MergeAlgebra.Lemmas Require Import RoundingLaws ReducerLists.
From MergeAlgebra.Lemmas Require TiesSums TiesMean.
Import ListNotations.
Open Scope Z_scope.

(** * Sizes *)

Lemma real_scale n : real n = (IZR n * bpow radix2 grid)%R.
Proof. reflexivity. Qed.

Lemma numerator_bound (x : number F32) n : numerator x = Some n -> Z.abs n < 2 ^ 277.
Proof.
  intros found. apply numerator_value in found as [_ equal].
  pose proof (abs_B2R_lt_emax _ _ x) as below. change (B2R _ _ x) with (value x) in below.
  rewrite equal, real_scale, Rabs_mult, (Rabs_pos_eq (bpow radix2 grid)) in below by apply bpow_ge_0.
  apply lt_IZR. rewrite abs_IZR. change (IZR (2 ^ 277)) with (bpow radix2 277).
  apply (Rmult_lt_reg_r (bpow radix2 grid)); [apply bpow_gt_0|]. now rewrite <- bpow_plus.
Qed.

(** The weights of fewer than 2^800 contributions are finite in fp64, and not zero. *)
Lemma weight_is_a_number W : 0 < W <= 2 ^ 1077 ->
  finite (round_to F64 (of_numerator W)) = true /\ value (round_to F64 (of_numerator W)) <> 0%R.
Proof.
  intros [above below].
  assert (low : (bpow radix2 grid <= real W)%R).
  { rewrite real_scale. rewrite <- (Rmult_1_l (bpow radix2 grid)) at 1.
    apply Rmult_le_compat_r; [apply bpow_ge_0|]. apply IZR_le. lia. }
  assert (high : (real W <= bpow radix2 928)%R).
  { rewrite real_scale. change 928 with (1077 + grid). rewrite bpow_plus.
    apply Rmult_le_compat_r; [apply bpow_ge_0|]. change (bpow radix2 1077) with (IZR (2 ^ 1077)). now apply IZR_le. }
  pose proof (bpow_gt_0 radix2 grid) as positive.
  assert (is : finite (round_to F64 (of_numerator W)) = true).
  { apply round_to_finite. change (F2R (of_numerator W)) with (real W).
    apply Rle_lt_trans with (bpow radix2 928); [|now apply bpow_lt].
    apply abs_round_le_generic; [apply valid_exponents|apply valid_rnd_N| |rewrite Rabs_pos_eq; lra].
    apply generic_format_FLT_bpow; [exact (precision_is_positive F64)|now vm_compute]. }
  split; [exact is|]. apply round_to_value in is as [-> _]. change (F2R (of_numerator W)) with (real W).
  enough (bpow radix2 grid <= RN F64 (real W))%R by lra.
  apply round_ge_generic; [apply valid_exponents|apply valid_rnd_N| |exact low].
  apply generic_format_FLT_bpow; [exact (precision_is_positive F64)|now vm_compute].
Qed.

(** * v *)

Lemma scaled_value c n v : fst (scaled c n) = Some v -> real v = RN F32 (real c * real n).
Proof.
  cbn [scaled fst]. intros found. apply numerator_value in found as [is equal]. rewrite <- equal.
  apply round_to_value in is as [-> _]. now rewrite F2R_mult.
Qed.

(** * tau_m *)

Lemma sums_are_exact m votes : sums m votes = exact_sums m votes.
Proof. destruct m; [apply TiesSums.finalize_aggregate_of|..]; reflexivity. Qed.

(** Whether absent elements have the coefficient of their contribution, and not 0. *)
Definition all_weigh (m : method) : bool := match m with Linear | NegMerge => false | _ => true end.

(** Votes whose weights may be divided by. *)
Definition has_weight (m : method) (votes : list Ties.vote) : Prop :=
  votes <> [] /\ Forall (fun x => 0 <= Ties.coefficient x) votes /\ (all_weigh m = true -> Ties.weighted votes)
  /\ Ties.total_coefficient votes <= 2 ^ 1077 /\ Z.of_nat (length votes) <= 2 ^ 800.

Lemma total_of_some p votes : Forall (fun x => 0 <= Ties.coefficient x) votes ->
  0 <= Ties.total_coefficient (filter p votes) <= Ties.total_coefficient votes.
Proof.
  induction 1 as [|x votes positive _ IH]; cbn [filter]; [now vm_compute|].
  destruct (p x); rewrite !TiesSums.total_coefficient_cons; lia.
Qed.

Lemma or_zero_weight sums : 0 <= snd sums <= 2 ^ 1077 -> 0 < snd (Counting.or_zero sums) <= 2 ^ 1077.
Proof.
  intros range. unfold Counting.or_zero. destruct (Z.eqb_spec (snd sums) 0); [now vm_compute|]. lia.
Qed.

Lemma some_changes votes : Counting.changes votes <= Z.of_nat (length votes).
Proof.
  unfold Counting.changes. induction votes as [|x votes IH]; [reflexivity|]. cbn [filter length].
  destruct (negb _); cbn [length]; lia.
Qed.

Lemma weight_of_sums m votes : m <> TaskArithmetic -> has_weight m votes -> 0 < snd (exact_sums m votes) <= 2 ^ 1077.
Proof.
  intros divides (some & none_below & positive & bound & few).
  pose proof (total_of_some (fun _ => true) votes none_below) as above.
  destruct m; [| |contradiction| | |]; cbn [exact_sums].
  - split; [now apply TiesMean.ties_weight_positive, positive|]. unfold Ties.ties_sums.
    destruct (_ =? 0); cbn [snd]; [now vm_compute|]. etransitivity; [now apply total_of_some|exact bound].
  - cbn [Ties.mean_sums snd]. split; [now apply TiesMean.total_coefficient_pos; [apply positive|]|exact bound].
  - apply or_zero_weight. cbn [Ties.mean_sums snd]. lia.
  - unfold Counting.negmerge_sums. destruct (_ || _); [|now vm_compute]. apply or_zero_weight. cbn [snd].
    unfold Counting.holders. pose proof (total_of_some (fun x => 0 <? Ties.coefficient x) votes none_below). lia.
  - apply or_zero_weight. cbn [snd]. pose proof (some_changes votes). unfold Counting.changes, Counting.one in *.
    change (2 ^ 1077) with (2 ^ 149 * 2 ^ 928). split; [apply Z.mul_nonneg_nonneg; lia|].
    apply Z.mul_le_mono_nonneg_l; [now vm_compute|]. etransitivity; [eassumption|].
    etransitivity; [exact few|]. now vm_compute.
Qed.

Lemma quotient_value (S W : Z) : 0 < W <= 2 ^ 1077 ->
  let q := convert F32 (divide (round_to F64 (of_numerator S)) (round_to F64 (of_numerator W))) in
  finite q = true -> value q = RN F32 (RN F64 (RN F64 (real S) / RN F64 (real W))).
Proof.
  cbv zeta. intros range is. apply weight_is_a_number in range as [isW some].
  apply convert_value in is as (is & -> & _). apply divide_value in is as [isS ->]; [|exact some].
  apply round_to_value in isS as [-> _]. now apply round_to_value in isW as [-> _].
Qed.

Lemma tau_m_value m votes t : m = TaskArithmetic \/ has_weight m votes ->
  numerator (tau_m m votes) = Some t -> real t = tau_m_R m votes.
Proof.
  intros usable found. apply numerator_value in found as [is <-].
  assert (weight : m = TaskArithmetic \/ 0 < snd (exact_sums m votes) <= 2 ^ 1077).
  { destruct usable as [is_sum|weighs]; [now left|].
    destruct m; try (now left); right; (apply weight_of_sums; [discriminate|exact weighs]). }
  unfold tau_m, tau_m_R in *. rewrite sums_are_exact in *.
  destruct (exact_sums m votes) as [S W]. cbn [snd] in weight.
  destruct m; try (apply quotient_value; [now destruct weight|exact is]).
  apply convert_value in is as (is & -> & _). now apply round_to_value in is as [-> _].
Qed.

(** * The result *)

Lemma apply_copies l t d b out : apply l t d b = inl out -> t = 0 \/ l = 0 -> out = b.
Proof.
  unfold apply. intros found [-> | ->]; [|rewrite orb_true_r in found]; now injection found.
Qed.

Lemma apply_moves l t d b out : apply l t d b = inl out -> t <> 0 -> l <> 0 ->
  let x := (value (of_bits d b) + real l * real t)%R in
  finite (of_bits d b) = true /\ are_bits d out /\ finite (of_bits d out) = true
  /\ value (of_bits d out) = narrow_R d x /\ sign (of_bits d out) = Rlt_bool x 0.
Proof.
  unfold apply. intros found t_some l_some.
  rewrite (proj2 (Z.eqb_neq t 0) t_some), (proj2 (Z.eqb_neq l 0) l_some) in found. cbn [orb] in found.
  destruct (exact (of_bits d b)) as [f|] eqn:is_exact; [|discriminate].
  apply exact_value in is_exact as [is ->].
  destruct (finite (narrow d _)) eqn:is_finite; [|discriminate]. injection found as <-.
  rewrite of_bits_to_bits. apply narrow_value in is_finite as law.
  rewrite F2R_plus, F2R_mult in law. repeat split; try assumption; try apply law; apply to_bits_range.
Qed.

Lemma becomes t d out : become t d = inl out ->
  are_bits d out /\ finite (of_bits d out) = true
  /\ value (of_bits d out) = RN d (real t) /\ sign (of_bits d out) = Rlt_bool (real t) 0.
Proof.
  unfold become. destruct (finite _) eqn:is; [|discriminate]. intros [= <-]. rewrite of_bits_to_bits.
  pose proof (round_to_value _ _ is) as [equal signed]. repeat split; try assumption; apply to_bits_range.
Qed.

(** * A coordinate that has a result *)

Lemma coordinate_result m l b column out : coordinate m l b column = inl out ->
  Forall (fun x => fst x <> None) column
  /\ exists t, numerator (tau_m m (map vote_of column)) = Some t /\ result m l t (fst b) (snd b) = inl out.
Proof.
  unfold coordinate. destruct (place_of overflowed 0 column) eqn:none; [discriminate|].
  destruct (numerator _) as [t|] eqn:found; [|discriminate]. intros result. split; [|eauto].
  apply place_none in none. rewrite forallb_forall in none. apply Forall_forall. intros [v c] member.
  specialize (none _ member). now destruct v.
Qed.
