(** From bits to real numbers and back. *)

From Coq Require Import ZArith Reals Lia Lra List Bool.
From Flocq Require Import Core.Core IEEE754.BinarySingleNaN IEEE754.Binary IEEE754.Bits.
From MergeAlgebra.Definitions Require Import Bits Rounding Floats FloatsCode.
From MergeAlgebra.Lemmas Require Import FloatsNumbers FloatsSums FloatsRounding.
Import ListNotations.
Open Scope R_scope.

(** * Numbers are those of bits *)

Lemma value_is_number d (x : number d) : is_number d (Bits.value x).
Proof. split; [apply generic_format_B2R | apply abs_B2R_lt_emax]. Qed.

Lemma round_to_is d (x : dyadic) : Rabs (RN d (F2R x)) < 2^(most_exponent d) ->
  Bits.value (round_to d x) = RN d (F2R x) /\ finite (round_to d x) = true.
Proof.
destruct x as [m e]. intros H.
pose proof (binary_normalize_correct _ _ (precision_is_positive d) (precision_is_below d) mode_NE m e false) as C.
cbv zeta in C. rewrite Rlt_bool_true in C by exact H. destruct C as (V & F & _). now split.
Qed.

Theorem numbers_are_of_bits d x : is_number d x <-> exists n : number d, finite n = true /\ Bits.value n = x.
Proof.
split; [| intros (n & _ & <-); apply value_is_number].
intros [F B]. set (f := Float radix2 (Ztrunc (scaled_mantissa radix2 (FLT_exp (least_exponent d) (precision d)) x))
  (cexp radix2 (FLT_exp (least_exponent d) (precision d)) x)).
assert (E : F2R f = x) by (symmetry; exact F).
assert (R : RN d (F2R f) = x) by (rewrite E; now apply RN_number).
exists (round_to d f). destruct (round_to_is d f) as [V Fi]; [now rewrite R |]. now rewrite V, R.
Qed.

Lemma convert_is_exact d (x : number F32) : d = F32 \/ d = F64 -> finite x = true ->
  Bits.value (convert d x) = Bits.value x /\ finite (convert d x) = true.
Proof.
intros D Fx. destruct x as [s | s | s pl Hpl | s m e He]; try discriminate Fx; [now destruct D as [-> | ->] |].
change (convert d (B754_finite _ _ s m e He)) with (round_to d (Float radix2 (cond_Zopp s (Zpos m)) e)).
set (v := Bits.value (B754_finite _ _ s m e He : number F32)).
change (F2R (Float radix2 (cond_Zopp s (Zpos m)) e)) with v.
destruct (value_is_number F32 (B754_finite _ _ s m e He)) as [F B]. fold v in F, B.
assert (R : RN d v = v) by (apply RN_number; destruct D as [-> | ->]; [exact F | now apply format32_is_format64]).
destruct (round_to_is d (Float radix2 (cond_Zopp s (Zpos m)) e)) as [V Fi].
- change (F2R _) with v. rewrite R. eapply Rlt_le_trans; [exact B | apply bpow_le]. now destruct D as [-> | ->].
- change (F2R _) with v in V. rewrite R in V. now split.
Qed.

Theorem widened_is_exact (x : number F32) : finite x = true ->
  Bits.value (widen x) = Bits.value x /\ finite (widen x) = true.
Proof. apply convert_is_exact. now right. Qed.

(** * Grids from bits *)

Lemma fields (x : number F32) : finite x = true ->
  exists (s : bool) (E m : Z),
    to_bits F32 x = (((if s then 256 else 0) + E) * 2 ^ 23 + m)%Z /\ (0 <= E < 255)%Z /\ (0 <= m < 2 ^ 23)%Z /\
    (E = 0%Z /\ m = 0%Z <-> Bits.value x = 0) /\
    (Bits.value x <> 0 -> Z.max E 1 = (grid_exponent (Bits.value x) + 150)%Z).
Proof.
intros Fx. destruct x as [s | s | s pl Hpl | s m e He]; try discriminate Fx.
- exists s, 0%Z, 0%Z. unfold Bits.value. simpl B2R. repeat split; try lia; try (destruct s; reflexivity); intros; lra.
- assert (N : Bits.value (B754_finite _ _ s m e He : number F32) <> 0).
  { unfold Bits.value, B2R. apply F2R_neq_0. now destruct s. }
  assert (C : grid_exponent (Bits.value (B754_finite _ _ s m e He : number F32)) = e).
  { unfold grid_exponent, Bits.value, B2R. pose proof (proj1 (andb_prop _ _ He)) as Hc.
    symmetry. exact (canonical_canonical_mantissa _ _ s m e Hc). }
  pose proof (proj1 (andb_prop _ _ He)) as Hc. pose proof (proj2 (andb_prop _ _ He)) as Hb.
  apply Zeq_bool_eq in Hc. apply Zle_bool_imp_le in Hb.
  change (SpecFloat.fexp (precision F32) (most_exponent F32) (Z.pos (SpecFloat.digits2_pos m) + e))
    with (Z.max (Z.pos (SpecFloat.digits2_pos m) + e - 24) (-149)) in Hc.
  change (most_exponent F32 - precision F32)%Z with 104%Z in Hb.
  rewrite Zpos_digits2_pos in Hc.
  pose proof (Zdigits_correct radix2 (Zpos m)) as [D1 D2]. change (radix_val radix2) with 2%Z in D1, D2.
  rewrite Z.abs_eq in D1, D2 by lia.
  assert (Dle : (Zdigits radix2 (Zpos m) <= 24)%Z) by lia.
  assert (M24 : (Zpos m < 2 ^ 24)%Z) by (eapply Z.lt_le_trans; [exact D2 | apply Z.pow_le_mono_r; lia]).
  unfold to_bits, bits_of_binary_float. change (fraction_bits F32) with 23%Z. change (exponent_bits F32) with 8%Z.
  change (Zpower 2 23) with (2 ^ 23)%Z.
  destruct (Zle_bool_spec 0 (Zpos m - 2 ^ 23)) as [H | H].
  + exists s, (e + 150)%Z, (Zpos m - 2 ^ 23)%Z. split; [| split; [lia | split; [lia | split]]].
    * unfold join_bits. rewrite Z.shiftl_mul_pow2 by lia. change (2 ^ 8)%Z with 256%Z.
      change (SpecFloat.emin (23 + 1) (2 ^ (8 - 1))) with (-149)%Z. destruct s; lia.
    * split; [intros []; exfalso; lia | intros Z; now destruct N].
    * intros _. rewrite C. lia.
  + assert (Dlt : (Zdigits radix2 (Zpos m) < 24)%Z).
    { apply Z.nle_gt. intros G. assert (2 ^ 23 <= Zpos m)%Z; [| lia].
      eapply Z.le_trans; [| exact D1]. apply Z.pow_le_mono_r; lia. }
    exists s, 0%Z, (Zpos m). split; [| split; [lia | split; [lia | split]]].
    * unfold join_bits. rewrite Z.shiftl_mul_pow2 by lia. reflexivity.
    * split; [intros []; discriminate | intros Z; now destruct N].
    * intros _. rewrite C. lia.
Qed.

Lemma bits_parts (s : bool) E m : (0 <= E < 255)%Z -> (0 <= m < 2 ^ 23)%Z ->
  let bits := (((if s then 256 else 0) + E) * 2 ^ 23 + m)%Z in
  Z.land (Z.shiftr bits 23) 255 = E /\ Z.land bits 0x7FFFFFFF = (E * 2 ^ 23 + m)%Z /\ Z.shiftr (E * 2 ^ 23 + m) 23 = E.
Proof.
intros HE Hm bits. change 255%Z with (Z.ones 8). change 0x7FFFFFFF%Z with (Z.ones 31).
rewrite !Z.land_ones, !Z.shiftr_div_pow2 by lia. unfold bits.
rewrite !Z.div_add_l, Z.div_small, !Z.add_0_r by lia. repeat split.
- destruct s; [| now rewrite Z.add_0_l, Z.mod_small by lia].
  replace (256 + E)%Z with (E + 1 * 2 ^ 8)%Z by lia. rewrite Z.mod_add by lia. apply Z.mod_small. lia.
- destruct s.
  + replace ((256 + E) * 2 ^ 23 + m)%Z with (E * 2 ^ 23 + m + 1 * 2 ^ 31)%Z by lia.
    rewrite Z.mod_add by lia. apply Z.mod_small. lia.
  + rewrite Z.add_0_l. apply Z.mod_small. lia.
Qed.

Theorem grid_is_read_from_bits x : finite x = true -> biased_grid_of_bits x = biased_grid (Bits.value x).
Proof.
intros Fx. destruct (fields x Fx) as (s & E & m & B & HE & Hm & Z0 & G).
destruct (bits_parts s E m HE Hm) as (P1 & P2 & _).
unfold biased_grid_of_bits, magnitude_bits. rewrite B, P1, P2.
destruct (Req_dec (Bits.value x) 0) as [V | V].
- apply Z0 in V as V'. destruct V' as [-> ->]. rewrite V. simpl. now rewrite biased_grid_0.
- rewrite biased_grid_nonzero, <- G by exact V.
  destruct (Z.eqb_spec (E * 2 ^ 23 + m) 0) as [A | A]; [exfalso; apply V, Z0; lia |].
  destruct (Z.eqb_spec E 0) as [-> | N]; lia.
Qed.

Lemma exponent_of_min a b : exponent_of_bits (Z.min a b) = Z.min (exponent_of_bits a) (exponent_of_bits b).
Proof.
assert (M : forall p q, (p <= q -> Z.shiftr p 23 <= Z.shiftr q 23)%Z).
{ intros p q H. rewrite !Z.shiftr_div_pow2 by lia. apply Z.div_le_mono; lia. }
unfold exponent_of_bits. destruct (Z.min_spec a b) as [[H ->] | [H ->]].
- pose proof (M a b ltac:(lia)). lia.
- pose proof (M b a ltac:(lia)). lia.
Qed.

Lemma magnitude_grid x : finite x = true ->
  (magnitude_bits x = 0%Z <-> Bits.value x = 0) /\ (0 <= magnitude_bits x < 255 * 2 ^ 23)%Z /\
  (Bits.value x <> 0 -> exponent_of_bits (magnitude_bits x) = biased_grid (Bits.value x)).
Proof.
intros Fx. destruct (fields x Fx) as (s & E & m & B & HE & Hm & Z0 & G).
destruct (bits_parts s E m HE Hm) as (_ & P2 & P3).
unfold magnitude_bits. rewrite B, P2. split; [| split].
- rewrite <- Z0. lia.
- lia.
- intros V. unfold exponent_of_bits. rewrite P3, biased_grid_nonzero, <- G by exact V. reflexivity.
Qed.

Theorem cpu_grid_is_least xs : Forall (fun x => finite x = true) xs -> cpu_grid xs = least_grid (map Bits.value xs).
Proof.
unfold cpu_grid. induction 1 as [| x xs Fx _ IH]; [reflexivity |].
cbn [fold_right map]. rewrite least_grid_cons, <- IH. unfold refine at 1. rewrite exponent_of_min, Z.min_comm. f_equal.
destruct (magnitude_grid x Fx) as (Z0 & _ & G).
destruct (Z.eqb_spec (magnitude_bits x) 0) as [E | E].
- rewrite (proj1 Z0 E), biased_grid_0. reflexivity.
- apply G. intros V. now apply E, Z0.
Qed.

Lemma gpu_grid_is xs : Forall (fun x => finite x = true) xs ->
  (forall x, In x xs -> Bits.value x = 0) \/ gpu_grid xs = least_grid (map Bits.value xs).
Proof.
intros F. unfold gpu_grid. set (least := fold_right _ _ xs).
assert (I : (forall x, In x xs -> Bits.value x = 0) /\ least = (2 ^ 32 - 1)%Z \/
            (0 <= least < 2 ^ 31)%Z /\ exponent_of_bits (least + 1) = least_grid (map Bits.value xs)).
{ unfold least. clear least. induction F as [| x xs Fx _ IH]; [left; split; [intros x [] | reflexivity] |].
  cbn [fold_right map]. rewrite least_grid_cons. set (rest := fold_right _ _ xs) in *.
  destruct (magnitude_grid x Fx) as (Z0 & B & G).
  assert (T : forall us, (forall u, In u us -> Bits.value u = 0) -> least_grid (map (@Bits.value F32) us) = 255%Z).
  { clear. induction us as [| u us IH]; intros H; [reflexivity |]. cbn [map]. rewrite least_grid_cons, IH.
    - rewrite (H u) by now left. now rewrite biased_grid_0.
    - intros; apply H; now right. }
  assert (U : (least_grid (map (@Bits.value F32) xs) <= 255)%Z).
  { clear. induction xs as [| u us IH]; [reflexivity |]. cbn [map]. rewrite least_grid_cons. lia. }
  destruct (Z.eq_dec (magnitude_bits x) 0) as [E | E].
  - rewrite E. change ((0 - 1) mod 2 ^ 32)%Z with (2 ^ 32 - 1)%Z. pose proof (proj1 Z0 E) as V. rewrite V, biased_grid_0.
    destruct IH as [[H L] | [L H]].
    + left. rewrite L. split; [intros y [<- | Hy]; auto | reflexivity].
    + right. rewrite Z.min_r by lia. split; [exact L |]. rewrite H. lia.
  - right. assert (V : Bits.value x <> 0) by (intros V; now apply E, Z0).
    rewrite Z.mod_small by lia. destruct IH as [[H L] | [L H]].
    + rewrite L, Z.min_l by lia. split; [lia |]. rewrite (T xs H).
      replace (magnitude_bits x - 1 + 1)%Z with (magnitude_bits x) by lia. rewrite (G V).
      destruct (value_is_number F32 x) as [Fv Bv].
      pose proof (biased_grid_of_number _ (conj Fv Bv) V). lia.
    + split; [lia |]. rewrite <- Z.add_min_distr_r.
      replace (magnitude_bits x - 1 + 1)%Z with (magnitude_bits x) by lia.
      now rewrite exponent_of_min, (G V), H. }
destruct I as [[H _] | [L H]]; [now left | right].
rewrite Z.mod_small by lia. exact H.
Qed.

Theorem gpu_test_is_kernel_test xs : Forall (fun x => finite x = true) xs ->
  let vs := map Bits.value xs in running_sum F64 Rabs vs < limit (gpu_grid xs) <-> kernel_passes vs.
Proof.
intros F vs. unfold kernel_passes. destruct (gpu_grid_is xs F) as [Z0 | ->]; [| reflexivity].
assert (S : running_sum F64 Rabs vs = 0).
{ unfold running_sum. assert (Zv : forall v, In v vs -> v = 0).
  { intros v Hv. apply in_map_iff in Hv as (x & <- & Hx). now apply Z0. }
  clear Z0. induction vs as [| v vs IH]; [reflexivity |]. cbn [fold_left].
  rewrite (Zv v) by now left. rewrite Rabs_R0, Rplus_0_r, RN_0. apply IH. intros; apply Zv; now right. }
rewrite S. split; intros _; apply two_pos.
Qed.

(** * Additions on bits *)

Lemma add64_is (x y : number F64) : finite x = true -> finite y = true ->
  Rabs (RN64 (Bits.value x + Bits.value y)) < 2^1024 ->
  Bits.value (add64 x y) = RN64 (Bits.value x + Bits.value y) /\ finite (add64 x y) = true.
Proof.
intros Fx Fy H.
pose proof (Bplus_correct 53 1024 eq_refl eq_refl binop_nan_pl64 mode_NE x y Fx Fy) as C.
cbv zeta in C. rewrite Rlt_bool_true in C by exact H. destruct C as (V & F & _). now split.
Qed.

Lemma multiply64_is (x y : number F64) : finite x = true -> finite y = true ->
  let z := Bits.value x * Bits.value y in
  (Rabs (RN64 z) < 2^1024 ->
   finite (multiply64 x y) = true /\ Bits.value (multiply64 x y) = RN64 z) /\
  (2^1024 <= Rabs (RN64 z) -> multiply64 x y = B754_infinity _ _ (xorb (sign x) (sign y))).
Proof.
intros Fx Fy z.
pose proof (Bmult_correct 53 1024 eq_refl eq_refl binop_nan_pl64 mode_NE x y) as M.
change (round radix2 _ (round_mode mode_NE) (B2R 53 1024 x * B2R 53 1024 y)) with (RN64 z) in M.
split; intros H.
- rewrite Rlt_bool_true in M by exact H. destruct M as (V & F & _). split; [| exact V].
  unfold finite, multiply64. etransitivity; [exact F |]. apply andb_true_intro. now split.
- rewrite Rlt_bool_false in M by exact H. unfold multiply64, b64_mult. fold (sign x) (sign y) in M.
  destruct (Bmult 53 1024 _ _ _ _ x y); try discriminate M. now injection M as ->.
Qed.

Lemma sum64_bound {A} (f : A -> R) e t : (0 <= e)%Z -> (forall x, In x (leaves t) -> Rabs (f x) <= 2^e) ->
  (Z.of_nat (length (leaves t)) <= 2 ^ 53)%Z -> Rabs (sum64 f t) <= INR (length (leaves t)) * 2^e.
Proof.
intros He. induction t as [x | a IHa b IHb]; cbn [leaves sum64]; intros H Few.
- change (INR (length [x])) with 1. rewrite Rmult_1_l. apply H. now left.
- rewrite app_length in *. rewrite plus_INR.
  assert (Ha : Rabs (sum64 f a) <= INR (length (leaves a)) * 2^e) by (apply IHa; [intros; apply H, in_or_app; tauto | lia]).
  assert (Hb : Rabs (sum64 f b) <= INR (length (leaves b)) * 2^e) by (apply IHb; [intros; apply H, in_or_app; tauto | lia]).
  rewrite <- RN_abs. apply RN_at_most.
  + apply (format_of_grid F64 e); [| change (least_exponent F64) with (-1074)%Z; lia |].
    * exists (Z.of_nat (length (leaves a) + length (leaves b))). now rewrite <- INR_IZR_INZ, plus_INR.
    * rewrite Rabs_pos_eq by (apply Rmult_le_pos; [apply Rplus_le_le_0_compat; apply pos_INR | auto]).
      rewrite (bpow_plus radix2 (precision F64)). apply Rmult_le_compat_r; [auto |].
      rewrite <- plus_INR, INR_IZR_INZ. change (2^(precision F64)) with (IZR (2 ^ 53)). now apply IZR_le.
  + eapply Rle_trans; [apply Rabs_triang |]. lra.
Qed.

(** Numbers of up to 2^e do not overflow, nor do 2^53 of them. *)
Theorem machine_sum_is_sum64 e t : (0 <= e <= 900)%Z ->
  (forall x, In x (leaves t) -> finite x = true /\ Rabs (Bits.value x) <= 2^e) ->
  (Z.of_nat (length (leaves t)) <= 2 ^ 53)%Z ->
  Bits.value (machine_sum t) = sum64 Bits.value t /\ finite (machine_sum t) = true.
Proof.
intros He. induction t as [x | a IHa b IHb]; cbn [leaves machine_sum sum64]; intros H Few.
- split; [reflexivity | now apply H; left].
- rewrite app_length in Few.
  destruct IHa as [Va Fa]; [intros; apply H, in_or_app; tauto | lia |].
  destruct IHb as [Vb Fb]; [intros; apply H, in_or_app; tauto | lia |].
  rewrite <- Va, <- Vb. apply add64_is; [exact Fa | exact Fb |]. rewrite Va, Vb.
  change (RN64 (sum64 (Bits.value (d := F64)) a + sum64 Bits.value b)) with (sum64 (Bits.value (d := F64)) (Node a b)).
  eapply Rle_lt_trans; [apply (sum64_bound _ e); [lia | intros x Hx; now apply H | cbn [leaves]; rewrite app_length; lia] |].
  cbn [leaves]. rewrite app_length. apply Rle_lt_trans with (2^53 * 2^e).
  + apply Rmult_le_compat_r; [auto |]. rewrite INR_IZR_INZ. change (2^53) with (IZR (2 ^ 53)). apply IZR_le. lia.
  + rewrite <- bpow_plus. apply bpow_lt. lia.
Qed.

Lemma leaves_map {A B} (f : A -> B) t : leaves (map_tree f t) = map f (leaves t).
Proof. induction t; simpl; [reflexivity | rewrite map_app; congruence]. Qed.

Lemma sum64_map {A B} (g : B -> R) (f : A -> B) t : sum64 g (map_tree f t) = sum64 (fun x => g (f x)) t.
Proof. induction t; simpl; [reflexivity | congruence]. Qed.

Lemma sum64_ext_in {A} (f g : A -> R) t : (forall x, In x (leaves t) -> f x = g x) -> sum64 f t = sum64 g t.
Proof.
induction t as [x | a IHa b IHb]; cbn [leaves sum64]; intros H; [apply H; now left |].
rewrite IHa, IHb; [reflexivity | |]; intros; apply H, in_or_app; tauto.
Qed.

Theorem machine_sums_of_fp32 (t : tree (number F32)) :
  Forall (fun x => finite x = true) (leaves t) -> (Z.of_nat (length (leaves t)) <= 2 ^ 53)%Z ->
  let total := machine_sum (map_tree widen t) in
  finite total = true /\ Bits.value total = sum64 Bits.value t.
Proof.
intros F Few total. rewrite Forall_forall in F.
destruct (machine_sum_is_sum64 128 (map_tree widen t)) as [V Fi]; [lia | | |].
- rewrite leaves_map. intros x Hx. apply in_map_iff in Hx as (y & <- & Hy).
  destruct (widened_is_exact y (F y Hy)) as [-> Fi]. split; [exact Fi |].
  apply Rlt_le. exact (proj2 (value_is_number F32 y)).
- rewrite leaves_map, map_length. exact Few.
- split; [exact Fi |]. unfold total. rewrite V, sum64_map. apply sum64_ext_in. intros y Hy. now apply widened_is_exact, F.
Qed.

(** The headline, in machine words alone. *)
Theorem certified_machine_sums_agree (t s : tree (number F32)) :
  Forall (fun x => finite x = true) (leaves t) -> (Z.of_nat (length (leaves t)) <= 2 ^ 53)%Z ->
  Permutation.Permutation (leaves t) (leaves s) -> certified (map Bits.value (leaves t)) ->
  Bits.value (machine_sum (map_tree widen t)) = sum_of Bits.value (leaves t) /\
  Bits.value (machine_sum (map_tree widen s)) = sum_of Bits.value (leaves t).
Proof.
intros F Few P C.
assert (N : all_numbers F32 (map Bits.value (leaves t))).
{ apply Forall_forall. intros v Hv. apply in_map_iff in Hv as (x & <- & _). apply value_is_number. }
assert (X : forall u, Permutation.Permutation (leaves t) (leaves u) ->
  Bits.value (machine_sum (map_tree widen u)) = sum_of Bits.value (leaves t)).
{ intros u Pu. destruct (machine_sums_of_fp32 u) as [_ ->].
  - eapply Permutation.Permutation_Forall; [exact Pu | exact F].
  - now rewrite <- (Permutation.Permutation_length Pu).
  - pose proof (Permutation.Permutation_map (@Bits.value F32) Pu) as Pm.
    rewrite (certified_column_is_exact Bits.value Bits.value).
    + symmetry. now apply sum_of_perm.
    + eapply Permutation.Permutation_Forall; [exact Pm | exact N].
    + eapply certified_perm; [exact Pm | exact C].
    + intros; apply Rle_refl.
    + auto. }
split; apply X; [apply Permutation.Permutation_refl | exact P].
Qed.

(** * The test on bits *)

Lemma value_of_limit g : (1 <= g <= 255)%Z -> finite (machine_limit g) = true /\ Bits.value (machine_limit g) = limit g.
Proof.
set (ok := fun g => match machine_limit g with
                    | B754_finite _ _ s m e _ => negb s && (m =? 2 ^ 52)%positive && (e =? g - 149)%Z
                    | _ => false
                    end).
assert (all : forallb ok (map Z.of_nat (seq 1 255)) = true) by now vm_compute.
intros Hg. rewrite forallb_forall in all.
assert (In g (map Z.of_nat (seq 1 255))).
{ apply in_map_iff. exists (Z.to_nat g). split; [lia | apply in_seq; lia]. }
specialize (all g H). unfold ok in all. destruct (machine_limit g) as [s | s | s pl Hpl | s m e He]; try discriminate all.
apply andb_prop in all as [all E]. apply andb_prop in all as [S M].
destruct s; [discriminate S |]. apply Pos.eqb_eq in M. apply Z.eqb_eq in E. subst m e.
split; [reflexivity |]. unfold Bits.value, B2R, F2R, limit; simpl Fnum; simpl Fexp.
change (IZR (Z.pos (2 ^ 52))) with (2^52). rewrite <- bpow_plus. f_equal. lia.
Qed.

(** A running sum is a tree that leans to the left. *)
Definition leaning {A} (x : A) (xs : list A) : tree A := fold_left (fun t x => Node t (Leaf x)) xs (Leaf x).

Lemma leaning_leaves {A} (xs : list A) : forall t, leaves (fold_left (fun t x => Node t (Leaf x)) xs t) = leaves t ++ xs.
Proof.
induction xs as [| x xs IH]; intros t; cbn [fold_left]; [now rewrite app_nil_r |].
rewrite IH. cbn [leaves]. now rewrite <- app_assoc.
Qed.

Lemma leaning_machine xs : forall t,
  machine_sum (fold_left (fun t x => Node t (Leaf x)) xs t) = fold_left add64 xs (machine_sum t).
Proof. induction xs as [| x xs IH]; intros t; cbn [fold_left]; [reflexivity | apply IH]. Qed.

Lemma leaning_sum64 {A} (f : A -> R) xs : forall t,
  sum64 f (fold_left (fun t x => Node t (Leaf x)) xs t) = fold_left (fun s x => RN64 (s + f x)) xs (sum64 f t).
Proof. induction xs as [| x xs IH]; intros t; cbn [fold_left]; [reflexivity | apply IH]. Qed.

Lemma machine_running_sum_is xs :
  (forall x, In x xs -> finite x = true /\ Rabs (Bits.value x) <= 2^128) -> (Z.of_nat (length xs) < 2 ^ 53)%Z ->
  Bits.value (machine_running_sum xs) = running_sum F64 Bits.value xs /\ finite (machine_running_sum xs) = true.
Proof.
intros H Few. set (zero := B754_zero _ _ false : number F64).
pose proof (machine_sum_is_sum64 128 (leaning zero xs)) as M. unfold leaning in M.
rewrite leaning_machine, leaning_sum64, leaning_leaves in M. cbn [leaves machine_sum sum64] in M. apply M.
- lia.
- intros x [<- | Hx]; [| now apply H]. split; [reflexivity |]. change (Bits.value zero) with 0. rewrite Rabs_R0. auto.
- cbn [length app]. lia.
Qed.

Lemma running_sum_map {A B} d (f : B -> R) (g : A -> B) xs : running_sum d f (map g xs) = running_sum d (fun x => f (g x)) xs.
Proof. unfold running_sum. generalize 0. induction xs as [| x xs IH]; intros s; cbn [fold_left map]; [reflexivity | apply IH]. Qed.

Lemma running_sum_ext {A} d (f g : A -> R) xs : (forall x, In x xs -> f x = g x) -> running_sum d f xs = running_sum d g xs.
Proof.
unfold running_sum. generalize 0. induction xs as [| x xs IH]; intros s H; cbn [fold_left]; [reflexivity |].
rewrite (H x) by now left. apply IH. intros; apply H; now right.
Qed.

Lemma values_are_numbers (xs : list (number F32)) : all_numbers F32 (map Bits.value xs).
Proof. apply Forall_forall. intros v Hv. apply in_map_iff in Hv as (x & <- & _). apply value_is_number. Qed.

Lemma widened_magnitude (x : number F32) : finite x = true ->
  finite (b64_abs (widen x) : number F64) = true /\ Bits.value (b64_abs (widen x) : number F64) = Rabs (Bits.value x).
Proof.
intros F. destruct (widened_is_exact x F) as [V Fi]. split.
- unfold finite. etransitivity; [| exact Fi]. now destruct (widen x).
- unfold Bits.value. etransitivity; [apply B2R_Babs |]. f_equal. exact V.
Qed.

Theorem machine_test_is_certificate xs :
  Forall (fun x => finite x = true) xs -> (Z.of_nat (length xs) < 2 ^ 53)%Z ->
  machine_passes xs = true <-> certified (map Bits.value xs).
Proof.
intros F Few. rewrite <- kernel_passes_is_certified by apply values_are_numbers. unfold kernel_passes.
rewrite Forall_forall in F. unfold machine_passes.
destruct (machine_running_sum_is (map (fun x => b64_abs (widen x)) xs)) as [V Fi].
- intros y Hy. apply in_map_iff in Hy as (x & <- & Hx). destruct (widened_magnitude x (F x Hx)) as [Fa ->].
  split; [exact Fa |]. rewrite Rabs_Rabsolu. apply Rlt_le. exact (proj2 (value_is_number F32 x)).
- rewrite map_length. exact Few.
- rewrite cpu_grid_is_least by now apply Forall_forall.
  assert (G : (1 <= least_grid (map Bits.value xs) <= 255)%Z).
  { split; [apply least_grid_positive |]. clear. induction xs as [| x xs IH]; [reflexivity |].
    cbn [map]. rewrite least_grid_cons. lia. }
  destruct (value_of_limit _ G) as [Fl Vl].
  unfold b64_compare. rewrite (Bcompare_correct 53 1024 _ _ Fi Fl).
  change (B2R 53 1024) with (@Bits.value F64). rewrite V, Vl, !running_sum_map.
  rewrite (running_sum_ext F64 _ (fun x => Rabs (Bits.value x))) by (intros x Hx; now apply widened_magnitude, F).
  split; [| intros L; now rewrite Rcompare_Lt].
  intros C. apply Rcompare_Lt_inv. now destruct Rcompare.
Qed.

Theorem machine_sums_that_pass_are_exact xs :
  Forall (fun x => finite x = true) xs -> (Z.of_nat (length xs) < 2 ^ 53)%Z -> machine_passes xs = true ->
  Bits.value (machine_running_sum (map widen xs)) = sum_of Bits.value xs /\
  Bits.value (machine_running_sum (map (fun x => b64_abs (widen x)) xs)) = sum_of (fun x => Rabs (Bits.value x)) xs.
Proof.
intros F Few P. apply machine_test_is_certificate in P; try assumption. rewrite Forall_forall in F.
assert (B : forall x : number F32, Rabs (Bits.value x) <= 2^128).
{ intros x. apply Rlt_le. exact (proj2 (value_is_number F32 x)). }
split.
- destruct (machine_running_sum_is (map widen xs)) as [-> _].
  + intros y Hy. apply in_map_iff in Hy as (x & <- & Hx). destruct (widened_is_exact x (F x Hx)) as [-> Fi]. now split.
  + rewrite map_length. exact Few.
  + rewrite running_sum_map, (running_sum_ext F64 _ Bits.value) by (intros x Hx; now apply widened_is_exact, F).
    apply (certified_running_is_exact Bits.value); try assumption; auto; [apply values_are_numbers |].
    intros; apply Rle_refl.
- destruct (machine_running_sum_is (map (fun x => b64_abs (widen x)) xs)) as [-> _].
  + intros y Hy. apply in_map_iff in Hy as (x & <- & Hx). destruct (widened_magnitude x (F x Hx)) as [Fa ->].
    split; [exact Fa | rewrite Rabs_Rabsolu; apply B].
  + rewrite map_length. exact Few.
  + rewrite running_sum_map, (running_sum_ext F64 _ (fun x => Rabs (Bits.value x)))
      by (intros x Hx; now apply widened_magnitude, F).
    apply (certified_running_is_exact Bits.value); try assumption; [apply values_are_numbers | |].
    * intros; rewrite Rabs_Rabsolu; apply Rle_refl.
    * intros; now apply on_grid_abs.
Qed.

(** * Single operations *)

Theorem subtraction_rounds_once (x y : number F32) : finite x = true -> finite y = true ->
  Rabs (RN32 (Bits.value x - Bits.value y)) < 2^128 ->
  finite (b32_minus mode_NE x y : number F32) = true /\
  Bits.value (b32_minus mode_NE x y : number F32) = RN32 (Bits.value x - Bits.value y).
Proof.
intros Fx Fy H. pose proof (Bminus_correct 24 128 eq_refl eq_refl binop_nan_pl32 mode_NE x y Fx Fy) as C.
cbv zeta in C. rewrite Rlt_bool_true in C by exact H. destruct C as (V & F & _). now split.
Qed.

Theorem scaling_rounds_once (x y : number F32) : finite x = true -> finite y = true ->
  Rabs (RN32 (Bits.value x * Bits.value y)) < 2^128 ->
  finite (b32_mult mode_NE x y : number F32) = true /\
  Bits.value (b32_mult mode_NE x y : number F32) = RN32 (Bits.value x * Bits.value y).
Proof.
intros Fx Fy H. pose proof (Bmult_correct 24 128 eq_refl eq_refl binop_nan_pl32 mode_NE x y) as C.
cbv zeta in C. rewrite Rlt_bool_true in C by exact H. destruct C as (V & F & _). split; [| exact V].
unfold finite. etransitivity; [exact F |]. apply andb_true_intro. now split.
Qed.

(** A fused multiply-add and a product followed by a sum give the same bits. *)
Theorem contraction_gives_the_same_bits (x y : number F32) (z : number F64) :
  finite x = true -> finite y = true -> finite z = true ->
  Rabs (RN64 (Bits.value z + Bits.value x * Bits.value y)) < 2^1024 ->
  to_bits F64 (add64 z (multiply64 (widen x) (widen y))) = to_bits F64 (fused64 (widen x) (widen y) z).
Proof.
intros Fx Fy Fz H. f_equal.
destruct (widened_is_exact x Fx) as [Vx Wx]. destruct (widened_is_exact y Fy) as [Vy Wy].
destruct (value_is_number F32 x) as [Nx Bx]. destruct (value_is_number F32 y) as [Ny By].
assert (XY : RN64 (Bits.value x * Bits.value y) = Bits.value x * Bits.value y) by now apply product_is_exact.
pose proof (Bmult_correct 53 1024 eq_refl eq_refl binop_nan_pl64 mode_NE (widen x) (widen y)) as M.
change (B2R 53 1024) with (@Bits.value F64) in M. cbv zeta in M. rewrite Vx, Vy in M.
change (round radix2 _ (round_mode mode_NE) (Bits.value x * Bits.value y)) with (RN64 (Bits.value x * Bits.value y)) in M.
rewrite XY, Rlt_bool_true in M.
2: { rewrite Rabs_mult. apply Rlt_le_trans with (2^128 * 2^128).
     - apply Rmult_le_0_lt_compat; try apply Rabs_pos; assumption.
     - rewrite <- bpow_plus. apply bpow_le. lia. }
fold multiply64 in M. set (p := multiply64 (widen x) (widen y)) in *.
change (Bmult 53 1024 eq_refl eq_refl binop_nan_pl64 mode_NE (widen x) (widen y)) with p in M.
destruct M as (Vp & Fp & Sp).
assert (Fp' : is_finite 53 1024 p = true) by (rewrite Fp; apply andb_true_intro; now split).
assert (Sp' : Bsign 53 1024 p = xorb (Bsign 53 1024 (widen x)) (Bsign 53 1024 (widen y))).
{ apply Sp. now destruct p. }
pose proof (Bplus_correct 53 1024 eq_refl eq_refl binop_nan_pl64 mode_NE z p Fz Fp') as A.
change (B2R 53 1024) with (@Bits.value F64) in A. rewrite Vp in A. rewrite Rlt_bool_true in A by exact H.
pose proof (Bfma_correct 53 1024 eq_refl eq_refl ternop_nan_pl64 mode_NE (widen x) (widen y) z Wx Wy Fz) as C.
change (B2R 53 1024) with (@Bits.value F64) in C. cbv zeta in C. rewrite Vx, Vy in C.
rewrite (Rplus_comm (Bits.value x * Bits.value y)) in C. rewrite Rlt_bool_true in C by exact H.
destruct A as (VA & FA & SA). destruct C as (VC & FC & SC).
apply (B2R_Bsign_inj 53 1024); [exact FA | exact FC | exact (eq_trans VA (eq_sym VC)) |].
etransitivity; [exact SA |]. etransitivity; [| symmetry; exact SC].
destruct Rcompare; try reflexivity.
assert (NaN : forall u : number F64, finite u = true -> is_nan 53 1024 u = false) by now intros [].
rewrite Sp'. unfold Bfma_szero, BinarySingleNaN.Bfma_szero.
rewrite (Bsign_B2BSN 53 1024 (widen x) (NaN _ Wx)), (Bsign_B2BSN 53 1024 (widen y) (NaN _ Wy)),
  (Bsign_B2BSN 53 1024 z (NaN _ Fz)).
destruct (Bsign 53 1024 (widen x)), (Bsign 53 1024 (widen y)), (Bsign 53 1024 z); reflexivity.
Qed.

(** An exact zero of two numbers, one of which is not zero, is +0: its bits are 0. *)
Theorem zero_sums_are_positive (z p : number F64) :
  finite z = true -> finite p = true -> Bits.value p <> 0 -> Bits.value z + Bits.value p = 0 ->
  to_bits F64 (add64 z p) = 0%Z.
Proof.
intros Fz Fp N E.
pose proof (Bplus_correct 53 1024 eq_refl eq_refl binop_nan_pl64 mode_NE z p Fz Fp) as A.
change (B2R 53 1024) with (@Bits.value F64) in A. rewrite E, round_0, Rabs_R0 in A by auto with typeclass_instances.
rewrite Rlt_bool_true, Rcompare_Eq in A by auto. fold (add64 z p) in A.
change (Bplus 53 1024 eq_refl eq_refl binop_nan_pl64 mode_NE z p) with (add64 z p) in A.
destruct A as (V & F & S).
assert (Opposite : Bsign 53 1024 z && Bsign 53 1024 p = false).
{ destruct z as [? | ? | ? ? ? | sz mz ez Hz]; try discriminate Fz.
  - exfalso. apply N. unfold Bits.value at 1 in E. simpl B2R in E. lra.
  - destruct p as [? | ? | ? ? ? | sp mp ep Hp]; try discriminate Fp; [now destruct N |].
    destruct sz, sp; try reflexivity. exfalso. unfold Bits.value, B2R in E.
    pose proof (F2R_lt_0 radix2 (Float radix2 (Z.neg mz) ez) ltac:(reflexivity)).
    pose proof (F2R_lt_0 radix2 (Float radix2 (Z.neg mp) ep) ltac:(reflexivity)).
    simpl cond_Zopp in E. lra. }
rewrite Opposite in S. destruct (add64 z p) as [s | s | s pl Hpl | s m e He]; try discriminate F.
- simpl in S. now subst s.
- exfalso. unfold Bits.value, B2R in V. apply (F2R_neq_0 radix2) in V; [exact V | now destruct s].
Qed.
