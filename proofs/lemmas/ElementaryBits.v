(** The certificate of elementary functions, on bits: its operations, and its ends. *)

From Coq Require Import ZArith Reals Lia Lra Bool.
From Flocq Require Import Core.Core IEEE754.BinarySingleNaN IEEE754.Binary IEEE754.Bits.
From MergeAlgebra.Definitions Require Import Bits Rounding Floats FloatsCode Elementary.
From MergeAlgebra.Lemmas Require Import FloatsNumbers FloatsMachine ElementaryReals.
Open Scope R_scope.

(** * Single operations *)

Lemma value_of_exact d (x : number d) (f : dyadic) : exact x = Some f -> finite x = true /\ Bits.value x = F2R f.
Proof. destruct x; intros [= <-]; split; try reflexivity. symmetry. apply F2R_0. Qed.

Lemma below_one_is : finite below_one = true /\ Bits.value below_one = 1 - 2^(-48).
Proof.
destruct (value_of_exact F64 below_one (Float radix2 9007199254740960 (-53)) ltac:(vm_compute; reflexivity)) as [F ->].
split; [exact F |]. unfold F2R; simpl Fnum; simpl Fexp.
replace 9007199254740960 with (2^53 - 2^5) by (cbn; lra). rewrite Rmult_minus_distr_r, <- !bpow_plus. reflexivity.
Qed.

Lemma above_one_is : finite above_one = true /\ Bits.value above_one = 1 + 2^(-48).
Proof.
destruct (value_of_exact F64 above_one (Float radix2 4503599627370512 (-52)) ltac:(vm_compute; reflexivity)) as [F ->].
split; [exact F |]. unfold F2R; simpl Fnum; simpl Fexp.
replace 4503599627370512 with (2^52 + 2^4) by (cbn; lra). rewrite Rmult_plus_distr_r, <- !bpow_plus. reflexivity.
Qed.

(** [r] stands for RN32(f), whatever the sign of a zero. *)
Definition stands_for (f : R) (r : number F32) : Prop :=
  (Rabs (RN32 f) < 2^128 -> finite r = true /\ Bits.value r = RN32 f) /\
  (2^128 <= Rabs (RN32 f) -> r = B754_infinity _ _ (Rlt_bool f 0)).

(** fp64 to fp32. *)
Lemma narrowed_is (x : number F64) : finite x = true -> stands_for (Bits.value x) (convert F32 x).
Proof.
intros Fx. unfold stands_for. destruct x as [s | s | s pl Hpl | s m e He]; try discriminate Fx.
- change (Bits.value (B754_zero 53 1024 s : number F64)) with 0. rewrite RN_0, Rabs_R0. split; [now split |].
  intros H. pose proof (two_pos 128). lra.
- set (x := Float radix2 (cond_Zopp s (Z.pos m)) e).
  change (Bits.value _) with (F2R x) at 1 3 4 5. change (convert F32 _) with (round_to F32 x).
  split; intros H; [destruct (round_to_is F32 x H); now split |].
  pose proof (binary_normalize_correct _ _ (precision_is_positive F32) (precision_is_below F32) mode_NE
    (Fnum x) (Fexp x) false) as C.
  change (round _ _ _ _) with (RN32 (F2R x)) in C. rewrite Rlt_bool_false in C by exact H.
  unfold round_to. destruct (binary_normalize _ _ _ _ _ _ _ _); try discriminate C. now injection C as ->.
Qed.

(** Where two fp32 numbers are equal: two finite ones of one value, or one infinity. *)
Lemma equal_is (a b : number F32) :
  b32_compare a b = Some Eq <->
  (finite a = true /\ finite b = true /\ Bits.value a = Bits.value b) \/
  (exists s, a = B754_infinity _ _ s /\ b = B754_infinity _ _ s).
Proof.
split.
- intros E. destruct (finite a) eqn:Fa, (finite b) eqn:Fb.
  + left. repeat split. unfold b32_compare in E. rewrite (Bcompare_correct 24 128) in E by assumption.
    injection E as E. now apply Rcompare_Eq_inv.
  + destruct b as [[] | [] | |]; try discriminate Fb; destruct a as [[] | [] | |]; discriminate.
  + destruct a as [[] | [] | |]; try discriminate Fa; destruct b as [[] | [] | |]; discriminate.
  + right. destruct a as [ | s | | ], b as [ | s' | | ]; try discriminate.
    exists s. destruct s, s'; try discriminate; now split.
- intros [(Fa & Fb & E) | (s & -> & ->)]; [| now destruct s].
  unfold b32_compare. rewrite (Bcompare_correct 24 128) by assumption. f_equal. now apply Rcompare_Eq.
Qed.

(** Adding +0 takes a zero's sign away. *)
Lemma plus_zero_is (r : number F32) : finite r = true ->
  let r' : number F32 := b32_plus mode_NE r (B754_zero _ _ false) in
  finite r' = true /\ Bits.value r' = Bits.value r /\ (Bits.value r = 0 -> sign r' = false).
Proof.
intros F. destruct r as [[] | s | s pl Hpl | s m e He]; try discriminate F; try now repeat split.
cbv zeta. change (b32_plus mode_NE _ _) with (B754_finite 24 128 s m e He). repeat split.
intros E. exfalso. unfold Bits.value, B2R in E. apply (F2R_neq_0 radix2) in E; [exact E | now destruct s].
Qed.

(** * Soundness *)

Lemma rounds_to_without_sign f r : stands_for f r -> rounds_to f (b32_plus mode_NE r (B754_zero _ _ false)).
Proof.
intros [S L]. split; intros H.
- destruct (S H) as [F V]. destruct (plus_zero_is r F) as (F' & V' & Z). rewrite V in V', Z. now repeat split.
- rewrite (L H). now destruct (Rlt_bool f 0).
Qed.

Lemma stands_between f a b r s : within a b f -> stands_for a r -> stands_for b s ->
  b32_compare r s = Some Eq -> stands_for f r.
Proof.
intros W [Sa La] [Sb Lb] E. apply equal_is in E.
destruct (Rlt_or_le (Rabs (RN32 a)) (2^128)) as [Ba | Ba], (Rlt_or_le (Rabs (RN32 b)) (2^128)) as [Bb | Bb].
- destruct (Sa Ba) as [Fr Vr], (Sb Bb) as [Fs Vs]. destruct E as [(_ & _ & E) | (z & E & _)]; [| now rewrite E in Fr].
  rewrite Vr, Vs in E. pose proof (enclosures_round_alike _ _ _ W E) as RE.
  split; rewrite RE; [intros _; now split | intros B; lra].
- exfalso. destruct (Sa Ba) as [Fr _]. destruct E as [(_ & E & _) | (z & E & _)].
  + now rewrite (Lb Bb) in E.
  + now rewrite E in Fr.
- exfalso. destruct (Sb Bb) as [Fs _]. destruct E as [(E & _) | (z & _ & E)].
  + now rewrite (La Ba) in E.
  + now rewrite E in Fs.
- rewrite (La Ba), (Lb Bb) in E. rewrite (La Ba).
  assert (S : Rlt_bool a 0 = Rlt_bool b 0) by (destruct E as [(E & _) | (z & Ea & Eb)]; [discriminate | congruence]).
  destruct (enclosed_overflow f a b W S Ba Bb) as [B S'].
  split; [intros H; lra | now rewrite S'].
Qed.

(** The ends where f is neither tiny nor huge. *)
Lemma ends f y : answers f y -> 2^(-160) <= Rabs f <= 2^160 ->
  let l := multiply64 y below_one in
  let h := multiply64 y above_one in
  finite l = true /\ finite h = true /\ within (Bits.value l) (Bits.value h) f /\
  Bits.value l = RN64 (Bits.value y * (1 - 2^(-48))) /\ Bits.value h = RN64 (Bits.value y * (1 + 2^(-48))).
Proof.
intros (A & _ & _) B. destruct (A B) as [Fy E].
destruct (ends_enclose f (Bits.value y) (proj1 B) E) as (W & Bl & Bh).
assert (T : 2 * Rabs f < 2^1024).
{ apply Rle_lt_trans with (2^1 * 2^160); [change (2^1) with 2; lra |]. rewrite <- bpow_plus. apply bpow_lt. lia. }
destruct below_one_is as [F1 V1], above_one_is as [F2 V2].
destruct (multiply64_is y below_one Fy F1) as [Ml _]. destruct (multiply64_is y above_one Fy F2) as [Mh _].
rewrite V1 in Ml. rewrite V2 in Mh. destruct Ml as [Fl Vl]; [lra |]. destruct Mh as [Fh Vh]; [lra |].
rewrite <- Vl, <- Vh in W. now repeat split.
Qed.

(** Tiny answers give zeros. *)
Lemma tiny_ends f y : answers f y -> Rabs f < 2^(-160) ->
  (finite (low y) = true /\ Bits.value (low y) = 0) /\ (finite (high y) = true /\ Bits.value (high y) = 0).
Proof.
intros (_ & A & _) B. destruct (A B) as [Fy E].
assert (all : forall c : number F64, finite c = true -> Rabs (Bits.value c) <= 3 * 2^(-1) ->
  finite (convert F32 (multiply64 y c)) = true /\ Bits.value (convert F32 (multiply64 y c)) = 0).
{ intros c Fc Bc. assert (Z : Rabs (RN64 (Bits.value y * Bits.value c)) <= 3 * 2^(-152)).
  { rewrite <- RN_abs. apply RN_at_most.
    - apply (format_of_grid F64 (-152)); [now exists 3%Z | now compute |].
      rewrite Rabs_pos_eq by (pose proof (two_pos (-152)); lra).
      apply Rle_trans with (2^2 * 2^(-152)).
      + apply Rmult_le_compat_r; [auto |]. change (2^2) with 4. lra.
      + rewrite <- bpow_plus. apply bpow_le. now compute.
    - rewrite Rabs_mult. change (-152)%Z with (-151 + -1)%Z. rewrite bpow_plus.
      replace (3 * (2^(-151) * 2^(-1))) with (2^(-151) * (3 * 2^(-1))) by ring.
      apply Rmult_le_compat; try apply Rabs_pos; assumption. }
  assert (S : 3 * 2^(-152) < 2^(-150)).
  { change (-150)%Z with (2 + -152)%Z. rewrite bpow_plus. change (2^2) with 4. pose proof (two_pos (-152)). lra. }
  destruct (multiply64_is y c Fy Fc) as [M _]. destruct M as [Fm Vm].
  { apply Rle_lt_trans with (1 := Z). apply Rlt_trans with (1 := S). apply bpow_lt. lia. }
  destruct (narrowed_is _ Fm) as [N _]. rewrite Vm, (RN32_tiny (RN64 _)) in N by lra.
  rewrite Rabs_R0 in N. apply N. auto. }
destruct below_one_is as [F1 V1], above_one_is as [F2 V2].
assert (Q : 0 < 2^(-48) <= / 2) by (split; [auto |]; change (/ 2) with (2^(-1)); apply bpow_le; lia).
split; apply all; try assumption; rewrite ?V1, ?V2, Rabs_pos_eq; change (2^(-1)) with (/ 2); lra.
Qed.

Lemma tiny_is_zero f : Rabs f < 2^(-160) -> RN32 f = 0.
Proof. intros B. apply RN32_tiny. eapply Rlt_trans; [exact B |]. apply bpow_lt. lia. Qed.

(** Huge answers give +inf. *)
Lemma huge_ends f y : answers f y -> 2^160 < f -> low y = B754_infinity _ _ false /\ high y = B754_infinity _ _ false.
Proof.
intros (_ & _ & A) B. unfold low, high. destruct (A B) as [-> | [Fy E]]; [now vm_compute |].
assert (all : forall c : number F64, finite c = true -> 2^(-1) <= Bits.value c -> sign c = false ->
  convert F32 (multiply64 y c) = B754_infinity _ _ false).
{ intros c Fc Bc Sc. assert (Z : 2^128 <= RN64 (Bits.value y * Bits.value c)).
  { apply RN_at_least; [apply has_format_two; now compute |].
    change 128%Z with (129 + -1)%Z. rewrite bpow_plus. apply Rmult_le_compat; auto. }
  assert (Sy : sign y = false).
  { destruct y as [s | s | s pl Hpl | s m e He]; try discriminate Fy.
    - pose proof (two_pos 129). unfold Bits.value in E. simpl B2R in E. lra.
    - destruct s; [| reflexivity]. pose proof (two_pos 129). unfold Bits.value, B2R in E.
      pose proof (F2R_lt_0 radix2 (Float radix2 (Z.neg m) e) ltac:(reflexivity)). simpl cond_Zopp in E. lra. }
  destruct (multiply64_is y c Fy Fc) as [S L].
  destruct (Rlt_or_le (Rabs (RN64 (Bits.value y * Bits.value c))) (2^1024)) as [H | H].
  - destruct (S H) as [Fm Vm]. destruct (narrowed_is _ Fm) as [_ N]. rewrite Vm in N. rewrite N.
    + f_equal. apply Rlt_bool_false. pose proof (two_pos 128). lra.
    + rewrite Rabs_pos_eq.
      * apply RN_at_least; [apply has_format_two; now compute | exact Z].
      * apply RN_nonneg. pose proof (two_pos 128). lra.
  - rewrite (L H), Sy, Sc. reflexivity. }
destruct below_one_is as [F1 V1], above_one_is as [F2 V2].
assert (Q : 0 < 2^(-48) <= / 2) by (split; [auto |]; change (/ 2) with (2^(-1)); apply bpow_le; lia).
split; apply all; try assumption; try (rewrite ?V1, ?V2; change (2^(-1)) with (/ 2); lra); now vm_compute.
Qed.

Lemma huge_is_huge f : 2^160 < f -> 2^128 <= Rabs (RN32 f) /\ Rlt_bool f 0 = false.
Proof.
intros B. pose proof (two_pos 160). split; [| apply Rlt_bool_false; lra].
rewrite <- RN_abs, Rabs_pos_eq by lra. apply RN_at_least; [apply has_format_two; now compute |].
apply Rle_trans with (2^160); [apply bpow_le; lia | lra].
Qed.
