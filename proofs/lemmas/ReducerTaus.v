(** Task vectors and trim: what tau is in real numbers, and that trim sees what is present and nothing else. *)

From Coq Require Import ZArith Reals List Bool Lia Lra.
From Flocq Require Import Core.Core Calc.Operations IEEE754.BinarySingleNaN IEEE754.Binary IEEE754.Bits.
From MergeAlgebra.Definitions Require Import Bits Rounding Reducer ReducerModel.
From MergeAlgebra.Definitions Require Trim Ties Counting.
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

(** theta of a task vector in real numbers. *)
Lemma theta_value d x e y n : theta TaskVector d x e y = Tau n ->
  exists m, stored e y = Tau m /\ finite (of_bits d x) = true
  /\ real n = RN F32 (RN F64 (value (of_bits d x) + real m)).
Proof.
  cbn [theta]. destruct (exact (of_bits d x)) as [from|] eqn:is_from; [|discriminate].
  destruct (stored e y) as [| |m]; try discriminate. intros found%element_of_tau. exists m.
  apply exact_value in is_from as [-> ->]. repeat split.
  apply numerator_value in found as [is <-]. apply convert_value in is as (is & -> & _).
  apply round_to_value in is as [-> _]. now rewrite F2R_plus.
Qed.

Lemma tensors_nth {A} (absent : A) read b c k t h : nth_error b k = Some t -> nth_error (held c) k = Some h ->
  nth_error (read_all absent read b c) k = Some (read_tensor absent read (kind c) t h).
Proof. intros at_b at_h. unfold read_all. now rewrite zip_nth, at_b, at_h. Qed.

Lemma element_nth {A} (absent : A) read k t i x : nth_error (snd t) i = Some x ->
  nth_error (read_tensor absent read k t None) i = Some absent
  /\ forall u y, nth_error (snd u) i = Some y ->
     nth_error (read_tensor absent read k t (Some u)) i = Some (read k (fst t) x (fst u) y).
Proof.
  intros at_t. split; cbn [read_tensor].
  - now rewrite nth_error_map, at_t.
  - intros u y at_u. now rewrite zip_nth, at_t, at_u.
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

Lemma refill_each (f : Z -> Z) es :
  refill es (map f (present es)) = map (fun e => match e with Tau n => f n | _ => 0 end) es.
Proof.
  induction es as [|[| |n] es IH]; cbn; [reflexivity| | |now rewrite IH];
    (destruct (present es) eqn:p; cbn in *; rewrite <- IH; reflexivity).
Qed.

Lemma untrimmed m es : (forall rule num den group, m <> TIES rule num den group) -> m <> RAM ->
  trimmed m es = map (fun e => match e with Tau n => n | _ => 0 end) (concat es).
Proof.
  intros trims counts. rewrite <- (refill_each (fun n => n)), map_id.
  destruct m; try reflexivity; [now contradiction (trims rule num den group)|contradiction].
Qed.

(** * RAM *)

Lemma no_change_is_rounded : real no_change = RN F32 (1 / IZR 100000).
Proof.
  set (divided := b32_div mode_NE (of_bits F32 0x3f800000) (of_bits F32 0x47c35000) : number F32).
  assert (found : numerator divided = Some no_change) by (vm_compute; reflexivity).
  apply numerator_value in found as [fin <-].
  assert (some : value (of_bits F32 0x47c35000) <> 0%R).
  { change (value (of_bits F32 0x47c35000)) with (F2R (Float radix2 12800000 (-7))). unfold F2R. cbn. lra. }
  pose proof (Bdiv_correct 24 128 eq_refl eq_refl binop_nan_pl32 mode_NE
                (of_bits F32 0x3f800000) (of_bits F32 0x47c35000) some) as law.
  change (round radix2 (SpecFloat.fexp 24 128) (round_mode mode_NE)) with (RN F32) in law.
  match type of law with (if ?c then _ else _) => destruct c end.
  - destruct law as (equal & _). unfold value, divided, b32_div in *. refine (eq_trans equal _). f_equal.
    change (B2R 24 128 (of_bits F32 0x3f800000)) with (F2R (Float radix2 8388608 (-23))).
    change (B2R 24 128 (of_bits F32 0x47c35000)) with (F2R (Float radix2 12800000 (-7))).
    unfold F2R. cbn. lra.
  - exfalso. unfold divided, b32_div, finite in *. match type of fin with is_finite _ _ ?z = true => set (quotient := z) in * end.
    match type of law with B2FF _ _ ?z = _ => change z with quotient in law end. clearbody quotient. now destruct quotient.
Qed.

Lemma ram_takes_changes es :
  trimmed RAM es = map (fun e => match e with Tau n => if no_change <? Z.abs n then n else 0 | _ => 0 end) (concat es).
Proof. exact (refill_each change (concat es)). Qed.

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

Lemma no_votes_no_sum m votes : Forall (fun x => Ties.value x = 0) votes -> fst (exact_sums m votes) = 0.
Proof.
  intros none.
  assert (total : forall some, Forall (fun x => Ties.value x = 0) some -> Ties.total_value some = 0).
  { induction 1 as [|x rest is _ IH]; [reflexivity|]. rewrite TiesSums.total_value_cons, is. exact IH. }
  assert (held : Ties.total_value (Counting.holders votes) = 0).
  { apply total. unfold Counting.holders. revert none. apply incl_Forall. intros x member. now apply filter_In in member. }
  specialize (total votes none).
  destruct m; cbn [exact_sums]; unfold Ties.ties_sums, Ties.gamma, Ties.mean_sums, Ties.task_arithmetic,
    Counting.linear_sums, Counting.ram_sums, Counting.negmerge_sums, Counting.or_zero; rewrite ?held, ?total; cbn;
    repeat match goal with |- context [if ?c then _ else _] => destruct c end; try reflexivity; assumption.
Qed.

Lemma no_votes_no_tau m votes : Forall (fun x => Ties.value x = 0) votes -> tau_m_R m votes = 0%R.
Proof.
  intros none%(no_votes_no_sum m). unfold tau_m_R. destruct (exact_sums m votes) as [S W]. cbn [fst] in none. subst S.
  destruct m; rewrite real_zero, !RN_zero; try reflexivity; unfold Rdiv; now rewrite Rmult_0_l, !RN_zero.
Qed.
