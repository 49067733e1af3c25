(** Numbers, grids, roundings: what the other files use of them. *)

From Coq Require Import ZArith Reals Lia Lra List Permutation.
From Flocq Require Import Core.Core.
From MergeAlgebra.Definitions Require Import Bits Rounding Floats.
Import ListNotations.
Open Scope R_scope.

Local Notation fexp d := (FLT_exp (least_exponent d) (precision d)).

Lemma two_pos e : 0 < 2^e. Proof. apply bpow_gt_0. Qed.
#[global] Hint Resolve two_pos : core.

Lemma two_nonneg e : 0 <= 2^e. Proof. apply bpow_ge_0. Qed.
#[global] Hint Resolve two_nonneg : core.

(** * Roundings *)

Lemma RN_0 d : RN d 0 = 0. Proof. apply round_0; auto with typeclass_instances. Qed.

Lemma RN_number d x : has_format d x -> RN d x = x.
Proof. intros H. apply round_generic; [auto with typeclass_instances | exact H]. Qed.

Lemma RN_has_format d x : has_format d (RN d x).
Proof. apply generic_format_round; auto with typeclass_instances. Qed.

Lemma RN_le d x y : x <= y -> RN d x <= RN d y.
Proof. apply round_le; auto with typeclass_instances. Qed.

Lemma RN_opp d x : RN d (- x) = - RN d x.
Proof. apply round_NE_opp. Qed.

Lemma RN_abs d x : RN d (Rabs x) = Rabs (RN d x).
Proof. apply round_NE_abs; auto with typeclass_instances. Qed.

Lemma RN_at_least d x y : has_format d x -> x <= y -> x <= RN d y.
Proof. intros Hx H. rewrite <- (RN_number d x Hx). now apply RN_le. Qed.

Lemma RN_at_most d x y : has_format d y -> x <= y -> RN d x <= y.
Proof. intros Hy H. rewrite <- (RN_number d y Hy). now apply RN_le. Qed.

Lemma RN_nonneg d x : 0 <= x -> 0 <= RN d x.
Proof. intros H. rewrite <- (RN_0 d). now apply RN_le. Qed.

Lemma has_format_0 d : has_format d 0. Proof. apply generic_format_0. Qed.

Lemma has_format_opp d x : has_format d x -> has_format d (- x).
Proof. apply generic_format_opp. Qed.

Lemma has_format_abs d x : has_format d x -> has_format d (Rabs x).
Proof. apply generic_format_abs. Qed.

Lemma has_format_two d e : (least_exponent d <= e)%Z -> has_format d (2^e).
Proof. intros H. apply generic_format_FLT_bpow; auto with typeclass_instances. Qed.

(** * Grids *)

Lemma on_grid_0 e : on_grid e 0.
Proof. exists 0%Z. ring. Qed.

Lemma on_grid_plus e x y : on_grid e x -> on_grid e y -> on_grid e (x + y).
Proof. intros [m ->] [n ->]. exists (m + n)%Z. rewrite plus_IZR. ring. Qed.

Lemma on_grid_opp e x : on_grid e x -> on_grid e (- x).
Proof. intros [m ->]. exists (- m)%Z. rewrite opp_IZR. ring. Qed.

Lemma on_grid_minus e x y : on_grid e x -> on_grid e y -> on_grid e (x - y).
Proof. intros Hx Hy. apply on_grid_plus; [exact Hx | now apply on_grid_opp]. Qed.

Lemma on_grid_abs e x : on_grid e x -> on_grid e (Rabs x).
Proof. intros H. unfold Rabs. destruct Rcase_abs; [now apply on_grid_opp | exact H]. Qed.

Lemma on_grid_mult e f x y : on_grid e x -> on_grid f y -> on_grid (e + f) (x * y).
Proof. intros [m ->] [n ->]. exists (m * n)%Z. rewrite mult_IZR, bpow_plus. ring. Qed.

Lemma on_grid_finer e f x : (e <= f)%Z -> on_grid f x -> on_grid e x.
Proof.
intros H [m ->]. exists (m * 2 ^ (f - e))%Z.
rewrite mult_IZR, (IZR_Zpower radix2) by lia.
rewrite Rmult_assoc, <- bpow_plus. do 2 f_equal. lia.
Qed.

Lemma on_grid_max e x : on_grid e x -> on_grid e (Rmax x 0).
Proof. intros H. unfold Rmax. destruct Rle_dec; [apply on_grid_0 | exact H]. Qed.

Lemma on_grid_min e x : on_grid e x -> on_grid e (Rmin x 0).
Proof. intros H. unfold Rmin. destruct Rle_dec; [exact H | apply on_grid_0]. Qed.

Lemma on_grid_cexp d x : has_format d x -> on_grid (cexp radix2 (fexp d) x) x.
Proof. intros H. exists (Ztrunc (scaled_mantissa radix2 (fexp d) x)). exact H. Qed.

Lemma on_grid_of_format d e x : has_format d x -> (e <= cexp radix2 (fexp d) x)%Z -> on_grid e x.
Proof. intros H He. eapply on_grid_finer; [exact He | now apply on_grid_cexp]. Qed.

(** Any number of a dtype lies on its finest grid. *)
Lemma on_least_grid d x : has_format d x -> on_grid (least_exponent d) x.
Proof. intros H. apply (on_grid_of_format d); [exact H | unfold cexp, FLT_exp; lia]. Qed.

Lemma precision_nonneg d : (0 < precision d)%Z.
Proof. now destruct d. Qed.

(** What lies on a grid and within 2^precision of it has the format. *)
Lemma format_of_grid d e x :
  on_grid e x -> (least_exponent d <= e)%Z -> Rabs x <= 2^(precision d + e) -> has_format d x.
Proof.
intros [m ->] He H.
assert (Hm : (Z.abs m <= 2 ^ precision d)%Z).
{ rewrite Rabs_mult, (Rabs_pos_eq (2^e)) in H by auto.
  rewrite bpow_plus in H. apply Rmult_le_reg_r in H; auto.
  rewrite <- abs_IZR in H. apply le_IZR.
  rewrite (IZR_Zpower radix2); [exact H | pose proof (precision_nonneg d); lia]. }
destruct (Z.eq_dec (Z.abs m) (2 ^ precision d)) as [E | E].
- pose proof (precision_nonneg d).
  assert (Hx : has_format d (2^(precision d + e))) by (apply has_format_two; lia).
  assert (B : IZR (2 ^ precision d) * 2^e = 2^(precision d + e))
    by (rewrite (IZR_Zpower radix2) by lia; now rewrite bpow_plus).
  destruct (Zabs_dec m) as [Em | Em]; rewrite Em, E.
  + now rewrite B.
  + rewrite opp_IZR, Ropp_mult_distr_l_reverse, B. now apply has_format_opp.
- apply generic_format_FLT. exists (Float radix2 m e); [reflexivity | simpl; lia | exact He].
Qed.

Lemma grid_is_exact d e x :
  on_grid e x -> (least_exponent d <= e)%Z -> Rabs x <= 2^(precision d + e) -> RN d x = x.
Proof. intros. now apply RN_number, (format_of_grid d e). Qed.

(** Rounding leaves a number on the grids that it is on. *)
Lemma on_grid_RN d e x : on_grid e x -> (least_exponent d <= e)%Z -> on_grid e (RN d x).
Proof.
intros H He. destruct (Z.le_gt_cases e (cexp radix2 (fexp d) x)) as [L | L].
- eapply on_grid_finer; [exact L |]. now exists (ZnearestE (scaled_mantissa radix2 (fexp d) x)).
- rewrite RN_number; [exact H |].
  destruct (on_grid_finer _ _ _ (Z.lt_le_incl _ _ L) H) as [m E].
  unfold has_format. rewrite E at 1. change (IZR m * _) with (F2R (Float radix2 m (cexp radix2 (fexp d) x))).
  apply generic_format_F2R. intros _. unfold F2R; simpl. rewrite <- E. lia.
Qed.

(** * Dtypes within each other *)

Lemma wider d e : (least_exponent e <= least_exponent d)%Z -> (precision d <= precision e)%Z ->
  forall x, has_format d x -> has_format e x.
Proof.
intros Hl Hp x. unfold has_format. apply generic_inclusion_mag. intros _. unfold FLT_exp. lia.
Qed.

Lemma format32_is_format64 x : has_format F32 x -> has_format F64 x.
Proof. now apply wider. Qed.

Lemma bf16_is_format32 x : has_format BF16 x -> has_format F32 x.
Proof. now apply wider. Qed.

Lemma fp16_is_format32 x : has_format F16 x -> has_format F32 x.
Proof. now apply wider. Qed.

(** * Grids of fp32 numbers *)

Lemma least_grid_exponent v : (-149 <= grid_exponent v)%Z.
Proof. unfold grid_exponent, cexp, FLT_exp. change (least_exponent F32) with (-149)%Z. lia. Qed.

Lemma magnitude_below_grid v : Rabs v < 2^(24 + grid_exponent v).
Proof.
destruct (Req_dec v 0) as [-> | Hv].
- rewrite Rabs_R0. auto.
- eapply Rlt_le_trans; [apply (bpow_mag_gt radix2) | apply bpow_le].
  unfold grid_exponent, cexp, FLT_exp. change (precision F32) with 24%Z. lia.
Qed.

Lemma grid_exponent_le v w : v <> 0 -> Rabs v <= Rabs w -> (grid_exponent v <= grid_exponent w)%Z.
Proof.
intros Hv H. assert (mag radix2 v <= mag radix2 w)%Z by now apply mag_le_abs.
unfold grid_exponent, cexp, FLT_exp. lia.
Qed.

Lemma grid_exponent_below v e : v <> 0 -> Rabs v < 2^e -> (-125 <= e)%Z -> (grid_exponent v <= e - 24)%Z.
Proof.
intros Hv H He.
assert (mag radix2 v <= e)%Z by (apply mag_le_bpow; assumption).
unfold grid_exponent, cexp, FLT_exp. change (precision F32) with 24%Z. change (least_exponent F32) with (-149)%Z. lia.
Qed.

(** * Sums *)

Lemma sum_app xs ys : sum (xs ++ ys) = sum xs + sum ys.
Proof. induction xs; simpl; [ring | rewrite IHxs; ring]. Qed.

Lemma sum_of_app {A} (f : A -> R) xs ys : sum_of f (xs ++ ys) = sum_of f xs + sum_of f ys.
Proof. unfold sum_of. now rewrite map_app, sum_app. Qed.

Lemma sum_of_cons {A} (f : A -> R) x xs : sum_of f (x :: xs) = f x + sum_of f xs.
Proof. reflexivity. Qed.

Lemma sum_of_perm {A} (f : A -> R) xs ys : Permutation xs ys -> sum_of f xs = sum_of f ys.
Proof.
intros H. induction H; rewrite ?sum_of_cons; [reflexivity | now f_equal | ring | congruence].
Qed.

Lemma sum_of_zeros {A} (xs : list A) : sum_of (fun _ => 0) xs = 0.
Proof. induction xs; rewrite ?sum_of_cons, ?IHxs; [reflexivity | ring]. Qed.

Lemma sum_of_map {A B} (f : A -> R) (g : B -> A) xs : sum_of f (map g xs) = sum_of (fun x => f (g x)) xs.
Proof. unfold sum_of. now rewrite map_map. Qed.

Lemma sum_of_ext {A} (f g : A -> R) xs : (forall x, In x xs -> f x = g x) -> sum_of f xs = sum_of g xs.
Proof.
intros H. induction xs as [| x xs IH]; [reflexivity |].
rewrite !sum_of_cons. f_equal; [apply H; now left | apply IH; intros; apply H; now right].
Qed.

Lemma sum_of_plus {A} (f g : A -> R) xs : sum_of f xs + sum_of g xs = sum_of (fun x => f x + g x) xs.
Proof. induction xs; rewrite ?sum_of_cons, <- ?IHxs; [unfold sum_of; simpl; ring | ring]. Qed.

Lemma sum_of_opp {A} (f : A -> R) xs : sum_of (fun x => - f x) xs = - sum_of f xs.
Proof. induction xs; rewrite ?sum_of_cons, ?IHxs; [unfold sum_of; simpl; ring | ring]. Qed.

Lemma sum_of_scaled {A} k (f : A -> R) xs : sum_of (fun x => k * f x) xs = k * sum_of f xs.
Proof. induction xs; rewrite ?sum_of_cons, ?IHxs; [unfold sum_of; simpl; ring | ring]. Qed.

Lemma sum_of_le {A} (f g : A -> R) xs : (forall x, In x xs -> f x <= g x) -> sum_of f xs <= sum_of g xs.
Proof.
intros H. induction xs as [| x xs IH]; [right; reflexivity |].
rewrite !sum_of_cons. apply Rplus_le_compat; [apply H; now left | apply IH; intros; apply H; now right].
Qed.

Lemma sum_of_nonneg {A} (f : A -> R) xs : (forall x, 0 <= f x) -> 0 <= sum_of f xs.
Proof. intros H. induction xs; [right; reflexivity | rewrite sum_of_cons; specialize (H a); lra]. Qed.

Lemma sum_of_abs {A} (f : A -> R) xs : Rabs (sum_of f xs) <= sum_of (fun x => Rabs (f x)) xs.
Proof.
induction xs; [unfold sum_of; simpl; rewrite Rabs_R0; right; reflexivity |].
rewrite !sum_of_cons. eapply Rle_trans; [apply Rabs_triang | lra].
Qed.

Lemma sum_of_member {A} (f : A -> R) xs x : (forall x, 0 <= f x) -> In x xs -> f x <= sum_of f xs.
Proof.
intros Hf. induction xs as [| y xs IH]; [intros [] |]. rewrite sum_of_cons. intros [-> | H].
- pose proof (sum_of_nonneg f xs Hf). lra.
- specialize (IH H). specialize (Hf y). lra.
Qed.

Lemma on_grid_sum {A} e (f : A -> R) xs : (forall x, In x xs -> on_grid e (f x)) -> on_grid e (sum_of f xs).
Proof.
intros H. induction xs as [| x xs IH]; [apply on_grid_0 |].
rewrite sum_of_cons. apply on_grid_plus; [apply H; now left | apply IH; intros; apply H; now right].
Qed.
