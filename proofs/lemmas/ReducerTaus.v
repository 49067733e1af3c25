(** Task vectors and trim: what tau is in real numbers, and that trim sees what is present and nothing else. *)

From Coq Require Import ZArith Reals List Bool Lia Lra.
From Flocq Require Import Core.Core Calc.Operations IEEE754.BinarySingleNaN IEEE754.Binary.
From MergeAlgebra.Definitions Require Import Bits Rounding Reducer ReducerModel.
From MergeAlgebra.Definitions Require Trim Ties.
From MergeAlgebra.Lemmas Require Import RoundingLaws ReducerLists ReducerCoordinate ReducerWhole.
From MergeAlgebra.Lemmas Require TiesSums TrimLaws.
Import ListNotations.
Open Scope Z_scope.

(** * tau *)

Lemma dtype_eqb_eq a b : dtype_eqb a b = true <-> a = b.
Proof. destruct a, b; cbn; split; congruence. Qed.

Lemma unchanged_iff d x e y : unchanged d x e y = true <->
  (d = e /\ x = y) \/ (finite (of_bits d x) = false /\ finite (of_bits e y) = false
    /\ is_nan _ _ (of_bits d x) = false /\ is_nan _ _ (of_bits e y) = false
    /\ sign (of_bits d x) = sign (of_bits e y)).
Proof.
  unfold unchanged. rewrite orb_true_iff, andb_true_iff, dtype_eqb_eq, Z.eqb_eq.
  apply or_iff_compat_l. unfold finite, sign.
  destruct (of_bits d x), (of_bits e y); cbn; rewrite ?Bool.eqb_true_iff; intuition discriminate.
Qed.

Lemma element_of_tau x n : element_of x = Tau n -> numerator x = Some n.
Proof. unfold element_of. destruct (numerator x); [now intros [= ->]|discriminate]. Qed.

Lemma difference_value d x e y n : unchanged d x e y = false -> difference d x e y = Tau n ->
  finite (of_bits d x) = true /\ finite (of_bits e y) = true
  /\ real n = difference_R d e (value (of_bits e y) - value (of_bits d x)).
Proof.
  unfold difference. intros ->.
  destruct (exact (of_bits d x)) as [from|] eqn:is_from; [|discriminate].
  destruct (exact (of_bits e y)) as [to|] eqn:is_to; [|discriminate].
  apply exact_value in is_from as [-> ->], is_to as [-> ->]. intros found%element_of_tau.
  apply numerator_value in found as [is <-]. repeat split. unfold round_difference, difference_R in *.
  rewrite <- F2R_minus. destruct (_ || _).
  - apply convert_value in is as (is & -> & _). now apply round_to_value in is as [-> _].
  - now apply round_to_value in is as [-> _].
Qed.

Lemma stored_value e y n : stored e y = Tau n ->
  finite (of_bits e y) = true /\ real n = RN F32 (value (of_bits e y)).
Proof.
  unfold stored. destruct (exact (of_bits e y)) as [x|] eqn:is_exact; [|discriminate].
  apply exact_value in is_exact as [-> ->]. intros found%element_of_tau.
  apply numerator_value in found as [is <-]. apply round_to_value in is as [-> _]. now split.
Qed.

Lemma elements_nth b c k t h : nth_error b k = Some t -> nth_error (held c) k = Some h ->
  nth_error (elements b c) k = Some (elements_of (kind c) t h).
Proof. intros at_b at_h. unfold elements. now rewrite zip_nth, at_b, at_h. Qed.

Lemma element_nth t i x : nth_error (snd t) i = Some x ->
  (forall form, nth_error (elements_of form t None) i = Some Absent)
  /\ forall u y, nth_error (snd u) i = Some y ->
     nth_error (elements_of Finetuned t (Some u)) i = Some (difference (fst t) x (fst u) y)
     /\ nth_error (elements_of TaskVector t (Some u)) i = Some (stored (fst u) y).
Proof.
  intros at_t. split.
  - intros form. cbn [elements_of]. now rewrite nth_error_map, at_t.
  - intros u y at_u. cbn [elements_of]. now rewrite zip_nth, nth_error_map, at_t, at_u.
Qed.

(** * Trim *)

Lemma present_refilled es ns : length ns = length (present es) -> present (relabel es (refill es ns)) = ns.
Proof.
  unfold relabel. revert ns. induction es as [|[| |k] es IH]; intros [|n ns]; cbn; intros [=]; f_equal; auto.
Qed.

Lemma trim_group_length rule num den xs : length (Trim.trim_group rule num den xs) = length xs.
Proof. apply TrimLaws.trim_length. Qed.

Lemma trimmed_is_trim rule num den es :
  present (relabel (concat es) (trimmed (TIES rule num den Model) es)) = Trim.trim_group rule num den (present (concat es))
  /\ trimmed (TIES rule num den Tensor) es = concat (map (fun e => trimmed (TIES rule num den Model) [e]) es).
Proof.
  split; [apply present_refilled, trim_group_length|].
  induction es as [|e es IH]; cbn [map concat]; [reflexivity|]. rewrite <- IH. cbn [trimmed concat flat_map].
  now rewrite app_nil_r.
Qed.

Lemma untrimmed m es : (m = Mean \/ m = TaskArithmetic) ->
  trimmed m es = map (fun e => match e with Tau n => n | _ => 0 end) (concat es).
Proof.
  assert (same : forall e, refill e (present e) = map (fun x => match x with Tau n => n | _ => 0 end) e).
  { induction e as [|[| |n] e IH]; cbn; [reflexivity| | |now rewrite IH];
      (destruct (present e) eqn:p; cbn; rewrite <- IH; reflexivity). }
  intros [-> | ->]; apply same.
Qed.

(** * Where nothing votes *)

Lemma scaled_zero c : scaled c 0 = (Some 0, c).
Proof.
  unfold scaled. f_equal. assert (zero : F2R (Fmult (of_numerator c) (of_numerator 0)) = 0%R).
  { rewrite F2R_mult. change (F2R (of_numerator 0)) with (real 0). rewrite real_zero. lra. }
  assert (is : finite (round_to F32 (Fmult (of_numerator c) (of_numerator 0))) = true).
  { apply round_to_finite. rewrite zero, RN_zero, Rabs_R0. apply bpow_gt_0. }
  apply numerator_some in is as [n found]. rewrite found. f_equal. apply real_eq_zero.
  apply numerator_value in found as [is <-]. apply round_to_value in is as [-> _]. now rewrite zero, RN_zero.
Qed.

Lemma no_votes_no_tau m votes : Forall (fun x => Ties.value x = 0) votes -> tau_m_R m votes = 0%R.
Proof.
  intros none. assert (total : Ties.total_value votes = 0).
  { induction none as [|x votes is _ IH]; [reflexivity|]. rewrite TiesSums.total_value_cons, is. exact IH. }
  unfold tau_m_R, exact_sums, Ties.ties_sums, Ties.mean_sums, Ties.task_arithmetic, Ties.gamma. rewrite total.
  destruct m; cbn [Z.sgn Z.eqb]; rewrite real_zero, !RN_zero; try reflexivity;
    unfold Rdiv; now rewrite Rmult_0_l, !RN_zero.
Qed.
