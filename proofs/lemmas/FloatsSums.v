(** Sums on a grid, and the certificate. *)

From Coq Require Import ZArith Reals Lia Lra List Permutation.
From Flocq Require Import Core.Core.
From MergeAlgebra.Definitions Require Import Bits Rounding Floats FloatsCode.
From MergeAlgebra.Lemmas Require Import FloatsNumbers.
Import ListNotations.
Open Scope R_scope.

(** * Trees *)

Lemma part_of_leaves {A} (s t : tree A) : part_of s t -> incl (leaves s) (leaves t).
Proof.
induction 1; simpl; [apply incl_refl | now apply incl_appl | now apply incl_appr].
Qed.

Lemma part_of_sum {A} (f : A -> R) (s t : tree A) :
  (forall x, 0 <= f x) -> part_of s t -> sum_of f (leaves s) <= sum_of f (leaves t).
Proof.
intros Hf. induction 1; simpl; [apply Rle_refl | |]; rewrite sum_of_app;
  pose proof (sum_of_nonneg f (leaves a) Hf); pose proof (sum_of_nonneg f (leaves b) Hf); lra.
Qed.

Lemma sum64_opp {A} (f : A -> R) t : sum64 (fun x => - f x) t = - sum64 f t.
Proof.
induction t as [x | a IHa b IHb]; simpl; [reflexivity |].
rewrite IHa, IHb, <- RN_opp. f_equal. ring.
Qed.

Lemma sum64_ext {A} (f g : A -> R) t : (forall x, f x = g x) -> sum64 f t = sum64 g t.
Proof. intros H. induction t; simpl; [apply H | congruence]. Qed.

Lemma sum64_format {A} (f : A -> R) t :
  (forall x, In x (leaves t) -> has_format F64 (f x)) -> has_format F64 (sum64 f t).
Proof. destruct t; intros H; [apply H; now left | apply RN_has_format]. Qed.

Lemma sum64_nonneg {A} (f : A -> R) t : (forall x, 0 <= f x) -> 0 <= sum64 f t.
Proof. intros H. induction t; simpl; [apply H | apply RN_nonneg; lra]. Qed.

(** * Numbers on one grid add exactly *)

Lemma grid_sum_is_exact {A} (f : A -> R) e t :
  (-1074 <= e)%Z -> (forall x, In x (leaves t) -> on_grid e (f x)) ->
  sum_of (fun x => Rabs (f x)) (leaves t) <= 2^(53 + e) ->
  sum64 f t = sum_of f (leaves t).
Proof.
intros He. induction t as [x | a IHa b IHb]; cbn [leaves sum64]; intros Hg Hs.
- unfold sum_of; simpl; ring.
- rewrite sum_of_app in *.
  assert (N : forall xs, 0 <= sum_of (fun x => Rabs (f x)) xs) by (intros; apply sum_of_nonneg; intros; apply Rabs_pos).
  pose proof (N (leaves a)). pose proof (N (leaves b)).
  rewrite IHa, IHb; [| intros; apply Hg, in_or_app; tauto | lra | intros; apply Hg, in_or_app; tauto | lra].
  apply (grid_is_exact F64 e); [| exact He |].
  + apply on_grid_plus; apply on_grid_sum; intros; apply Hg, in_or_app; tauto.
  + eapply Rle_trans; [apply Rabs_triang |].
    pose proof (sum_of_abs f (leaves a)). pose proof (sum_of_abs f (leaves b)).
    change (precision F64) with 53%Z. lra.
Qed.

Theorem grid_sums_are_exact e (t s : tree R) :
  (-1074 <= e)%Z -> Forall (on_grid e) (leaves t) -> sum_of Rabs (leaves t) <= 2^53 * 2^e ->
  part_of s t -> sum64 id s = sum (leaves s).
Proof.
intros He Hg Hs Hp. rewrite <- bpow_plus in Hs. rewrite Forall_forall in Hg.
rewrite (grid_sum_is_exact id e s He).
- unfold sum_of. now rewrite map_id.
- intros x Hx. apply Hg. now apply (part_of_leaves s t).
- eapply Rle_trans; [apply (part_of_sum (fun x => Rabs (id x)) s t); [intros; apply Rabs_pos | exact Hp] | exact Hs].
Qed.

(** * What was computed as below the limit is exact *)

Lemma two_grids_above e : (-1074 <= e)%Z -> has_format F64 (2^(53 + e)).
Proof. intros He. apply has_format_two. change (least_exponent F64) with (-1074)%Z. lia. Qed.

Lemma below_is_exact {A} (f : A -> R) e t :
  (-1074 <= e)%Z -> (forall x, 0 <= f x) ->
  (forall x, In x (leaves t) -> on_grid e (f x)) -> (forall x, In x (leaves t) -> has_format F64 (f x)) ->
  sum64 f t < 2^(53 + e) -> sum64 f t = sum_of f (leaves t).
Proof.
intros He Hf. induction t as [x | a IHa b IHb]; cbn [leaves sum64]; intros Hg Hn Hs.
- unfold sum_of; simpl; ring.
- assert (Ga : forall x, In x (leaves a) -> on_grid e (f x)) by (intros; apply Hg, in_or_app; tauto).
  assert (Gb : forall x, In x (leaves b) -> on_grid e (f x)) by (intros; apply Hg, in_or_app; tauto).
  assert (Fa : forall x, In x (leaves a) -> has_format F64 (f x)) by (intros; apply Hn, in_or_app; tauto).
  assert (Fb : forall x, In x (leaves b) -> has_format F64 (f x)) by (intros; apply Hn, in_or_app; tauto).
  pose proof (sum64_nonneg f a Hf). pose proof (sum64_nonneg f b Hf).
  assert (La : sum64 f a < 2^(53 + e)).
  { eapply Rle_lt_trans; [| exact Hs]. apply RN_at_least; [now apply sum64_format | lra]. }
  assert (Lb : sum64 f b < 2^(53 + e)).
  { eapply Rle_lt_trans; [| exact Hs]. apply RN_at_least; [now apply sum64_format | lra]. }
  rewrite sum_of_app, <- IHa, <- IHb by assumption.
  assert (L : sum64 f a + sum64 f b < 2^(53 + e)).
  { apply Rnot_le_lt. intros C. apply (Rlt_not_le _ _ Hs). apply RN_at_least; [now apply two_grids_above | exact C]. }
  apply (grid_is_exact F64 e).
  + rewrite IHa, IHb by assumption. apply on_grid_plus; now apply on_grid_sum.
  + exact He.
  + rewrite Rabs_pos_eq by lra. change (precision F64) with 53%Z. lra.
Qed.

(** ** By sign *)

Lemma positive_nonneg v : 0 <= positive v.
Proof. apply Rmax_r. Qed.

Lemma negative_nonpos v : 0 <= - negative v.
Proof. unfold negative. pose proof (Rmin_r v 0). lra. Qed.

Lemma by_sign v : positive v + negative v = v.
Proof. unfold positive, negative, Rmax, Rmin. destruct Rle_dec; ring. Qed.

Lemma magnitude_by_sign v : positive v + - negative v = Rabs v.
Proof. unfold positive, negative, Rmax, Rmin. destruct Rle_dec; unfold Rabs; destruct Rcase_abs; lra. Qed.

Lemma positive_format d v : has_format d v -> has_format d (positive v).
Proof. intros H. unfold positive, Rmax. destruct Rle_dec; [apply has_format_0 | exact H]. Qed.

Lemma negative_format d v : has_format d v -> has_format d (negative v).
Proof. intros H. unfold negative, Rmin. destruct Rle_dec; [exact H | apply has_format_0]. Qed.

Section BySign.

Variable e : Z.
Hypothesis He : (-1074 <= e)%Z.
Context {A : Type}.
Variable f : A -> R.
Variable t : tree A.
Hypothesis on_e : forall x, In x (leaves t) -> on_grid e (f x).

Let P := sum64 (fun x => positive (f x)) t.
Let N := sum64 (fun x => negative (f x)) t.
Let A_exact := sum_of (fun x => Rabs (f x)) (leaves t).

Lemma exact_by_sign : A_exact <= 2^(53 + e) ->
  P = sum_of (fun x => positive (f x)) (leaves t) /\ N = sum_of (fun x => negative (f x)) (leaves t).
Proof.
intros H. split; apply (grid_sum_is_exact _ e); try exact He.
- intros x Hx. now apply on_grid_max, on_e.
- eapply Rle_trans; [| exact H]. apply sum_of_le. intros x _.
  pose proof (magnitude_by_sign (f x)). pose proof (positive_nonneg (f x)). pose proof (negative_nonpos (f x)).
  rewrite Rabs_pos_eq; lra.
- intros x Hx. now apply on_grid_min, on_e.
- eapply Rle_trans; [| exact H]. apply sum_of_le. intros x _.
  pose proof (magnitude_by_sign (f x)). pose proof (positive_nonneg (f x)). pose proof (negative_nonpos (f x)).
  rewrite <- Rabs_Ropp, Rabs_pos_eq; lra.
Qed.

Lemma sum_by_sign : sum_of (fun x => positive (f x)) (leaves t) - sum_of (fun x => negative (f x)) (leaves t) = A_exact.
Proof.
unfold A_exact, Rminus. rewrite <- sum_of_opp, sum_of_plus. apply sum_of_ext. intros x _. apply magnitude_by_sign.
Qed.

Lemma test_passes : A_exact < 2^(53 + e) -> RN64 (P - N) < 2^(53 + e).
Proof.
intros H. destruct exact_by_sign as [-> ->]; [lra |]. rewrite sum_by_sign.
rewrite (grid_is_exact F64 e); [exact H | | exact He |].
- apply on_grid_sum. intros x Hx. now apply on_grid_abs, on_e.
- change (precision F64) with 53%Z. rewrite Rabs_pos_eq; [lra |].
  apply sum_of_nonneg. intros; apply Rabs_pos.
Qed.

Hypothesis formats : forall x, In x (leaves t) -> has_format F64 (f x).

Lemma test_is_sound : RN64 (P - N) < 2^(53 + e) -> A_exact < 2^(53 + e).
Proof.
intros H.
assert (HP : 0 <= P) by (apply sum64_nonneg; intros; apply positive_nonneg).
assert (EN : N = - sum64 (fun x => - negative (f x)) t) by (unfold N; rewrite sum64_opp; ring).
assert (HN : 0 <= sum64 (fun x => - negative (f x)) t) by (apply sum64_nonneg; intros; apply negative_nonpos).
assert (FP : has_format F64 P) by (apply sum64_format; intros; now apply positive_format, formats).
assert (FN : has_format F64 (sum64 (fun x => - negative (f x)) t))
  by (apply sum64_format; intros; now apply has_format_opp, negative_format, formats).
assert (LP : P < 2^(53 + e)).
{ eapply Rle_lt_trans; [| exact H]. apply RN_at_least; [exact FP | lra]. }
assert (LN : sum64 (fun x => - negative (f x)) t < 2^(53 + e)).
{ eapply Rle_lt_trans; [| exact H]. apply RN_at_least; [exact FN | lra]. }
assert (XP : P = sum_of (fun x => positive (f x)) (leaves t)).
{ apply (below_is_exact _ e); try assumption; intros.
  - apply positive_nonneg. - now apply on_grid_max, on_e. - now apply positive_format, formats. }
assert (XN : N = sum_of (fun x => negative (f x)) (leaves t)).
{ rewrite EN, (below_is_exact _ e); try assumption; intros.
  - rewrite sum_of_opp. ring.
  - apply negative_nonpos.
  - now apply on_grid_opp, on_grid_min, on_e.
  - now apply has_format_opp, negative_format, formats. }
rewrite XP, XN, sum_by_sign in H.
apply Rnot_le_lt. intros C. apply (Rlt_not_le _ _ H). apply RN_at_least; [now apply two_grids_above | exact C].
Qed.

End BySign.

(** * One after another *)

Section Running.

Variable d : dtype.
Variable e : Z.
Hypothesis He : (least_exponent d <= e)%Z.
Context {A : Type}.
Variable f : A -> R.

Let add s x := RN d (s + f x).

Lemma running_is_exact xs : forall s,
  on_grid e s -> (forall x, In x xs -> on_grid e (f x)) ->
  Rabs s + sum_of (fun x => Rabs (f x)) xs <= 2^(precision d + e) ->
  fold_left add xs s = s + sum_of f xs.
Proof.
induction xs as [| x xs IH]; intros s Hs Hg H; cbn [fold_left].
- unfold sum_of; simpl; ring.
- rewrite sum_of_cons in *.
  assert (0 <= sum_of (fun x => Rabs (f x)) xs) by (apply sum_of_nonneg; intros; apply Rabs_pos).
  pose proof (Rabs_triang s (f x)).
  assert (E : add s x = s + f x).
  { apply (grid_is_exact d e); [apply on_grid_plus; [exact Hs | apply Hg; now left] | exact He | lra]. }
  rewrite E, IH; [ring | | intros; apply Hg; now right | lra].
  apply on_grid_plus; [exact Hs | apply Hg; now left].
Qed.

Hypothesis f_nonneg : forall x, 0 <= f x.

Lemma running_grows xs : forall s, has_format d s -> 0 <= s -> s <= fold_left add xs s.
Proof.
induction xs as [| x xs IH]; intros s Fs Hs; cbn [fold_left]; [apply Rle_refl |].
assert (s <= add s x) by (apply RN_at_least; [exact Fs | specialize (f_nonneg x); lra]).
eapply Rle_trans; [exact H | apply IH; [apply RN_has_format | lra]].
Qed.

Lemma running_below_is_exact xs : forall s,
  has_format d s -> 0 <= s -> on_grid e s -> (forall x, In x xs -> on_grid e (f x)) ->
  fold_left add xs s < 2^(precision d + e) -> fold_left add xs s = s + sum_of f xs.
Proof.
induction xs as [| x xs IH]; intros s Fs Hs Gs Hg H; cbn [fold_left] in *.
- unfold sum_of; simpl; ring.
- rewrite sum_of_cons. pose proof (f_nonneg x).
  assert (Gx : on_grid e (s + f x)) by (apply on_grid_plus; [exact Gs | apply Hg; now left]).
  assert (0 <= add s x) by (apply RN_nonneg; lra).
  assert (L : add s x < 2^(precision d + e)).
  { eapply Rle_lt_trans; [apply running_grows; [apply RN_has_format | assumption] | exact H]. }
  assert (E : add s x = s + f x).
  { apply (grid_is_exact d e); [exact Gx | exact He |]. rewrite Rabs_pos_eq by lra.
    apply Rnot_lt_le. intros C. apply (Rlt_not_le _ _ L). apply RN_at_least; [| lra].
    apply has_format_two. pose proof (precision_nonneg d). lia. }
  rewrite IH; [rewrite E; ring | apply RN_has_format | assumption | now rewrite E | intros; apply Hg; now right | exact H].
Qed.

End Running.

(** * The least grid *)

Lemma biased_grid_0 : biased_grid 0 = 255%Z.
Proof. unfold biased_grid. now rewrite Req_bool_true. Qed.

Lemma biased_grid_nonzero v : v <> 0 -> biased_grid v = (grid_exponent v + 150)%Z.
Proof. intros H. unfold biased_grid. now rewrite Req_bool_false. Qed.

Lemma biased_grid_positive v : (1 <= biased_grid v)%Z.
Proof.
destruct (Req_dec v 0) as [-> | H]; [now rewrite biased_grid_0 |].
rewrite biased_grid_nonzero by exact H. pose proof (least_grid_exponent v). lia.
Qed.

Lemma biased_grid_of_number v : is_number F32 v -> v <> 0 -> (biased_grid v <= 254)%Z.
Proof.
intros [_ H] Hv. rewrite biased_grid_nonzero by exact Hv.
pose proof (grid_exponent_below v 128 Hv H). lia.
Qed.

Lemma least_grid_cons v vs : least_grid (v :: vs) = Z.min (biased_grid v) (least_grid vs).
Proof. reflexivity. Qed.

Lemma least_grid_positive vs : (1 <= least_grid vs)%Z.
Proof.
induction vs as [| v vs IH]; [discriminate |]. rewrite least_grid_cons. pose proof (biased_grid_positive v). lia.
Qed.

Lemma least_grid_le v vs : In v vs -> (least_grid vs <= biased_grid v)%Z.
Proof.
induction vs as [| w vs IH]; [intros [] |]. rewrite least_grid_cons. intros [-> | H]; [lia | specialize (IH H); lia].
Qed.

Lemma least_grid_attained vs :
  least_grid vs = 255%Z \/ exists v, In v vs /\ least_grid vs = biased_grid v.
Proof.
induction vs as [| v vs IH]; [now left |]. rewrite least_grid_cons.
destruct (Z.min_spec (biased_grid v) (least_grid vs)) as [[_ ->] | [_ ->]].
- right. exists v. split; [now left | reflexivity].
- destruct IH as [-> | (w & Hw & ->)]; [now left |]. right. exists w. split; [now right | reflexivity].
Qed.

Lemma least_grid_app vs ws : least_grid (vs ++ ws) = Z.min (least_grid vs) (least_grid ws).
Proof.
induction vs as [| v vs IH]; simpl app.
- change (least_grid []) with 255%Z. destruct (least_grid_attained ws) as [-> | (w & Hw & _)]; [reflexivity |].
  assert (forall us, (least_grid us <= 255)%Z).
  { induction us as [| u us IH]; [reflexivity | rewrite least_grid_cons; lia]. }
  specialize (H ws). lia.
- rewrite !least_grid_cons, IH. lia.
Qed.

(** A number lies on every grid that is not above its own. *)
Lemma on_biased_grid g v : has_format F32 v -> (g <= biased_grid v)%Z -> on_grid (g - 150) v.
Proof.
intros F H. destruct (Req_dec v 0) as [-> | Hv]; [apply on_grid_0 |].
rewrite biased_grid_nonzero in H by exact Hv.
apply (on_grid_of_format F32); [exact F |]. fold (grid_exponent v). lia.
Qed.

Lemma all_on_least_grid vs : Forall (has_format F32) vs ->
  forall v, In v vs -> on_grid (least_grid vs - 150) v.
Proof. rewrite Forall_forall. intros H v Hv. apply on_biased_grid; [now apply H | now apply least_grid_le]. Qed.

Lemma formats_of vs : all_numbers F32 vs -> Forall (has_format F32) vs.
Proof. apply Forall_impl. now intros v [H _]. Qed.

Lemma limit_is g : limit g = 2^(53 + (g - 150)).
Proof. unfold limit. f_equal. lia. Qed.

Lemma certified_is vs : all_numbers F32 vs -> certified vs <-> sum_of Rabs vs < limit (least_grid vs).
Proof.
intros Hn. unfold all_numbers in Hn. rewrite Forall_forall in Hn. split.
- intros H. destruct (least_grid_attained vs) as [E | (v & Hv & E)].
  + assert (Z : forall v, In v vs -> v = 0).
    { intros v Hv. destruct (Req_dec v 0) as [| N]; [assumption |].
      pose proof (biased_grid_of_number v (Hn v Hv) N). pose proof (least_grid_le v vs Hv). lia. }
    assert (S : sum_of Rabs vs <= sum_of (fun _ => 0) vs).
    { apply sum_of_le. intros v Hv. rewrite (Z v Hv), Rabs_R0. lra. }
    rewrite sum_of_zeros in S. eapply Rle_lt_trans; [exact S | apply two_pos].
  + destruct (Req_dec v 0) as [-> | N].
    * rewrite biased_grid_0 in E.
      assert (Z : forall v, In v vs -> v = 0).
      { intros w Hw. destruct (Req_dec w 0) as [| N]; [assumption |].
        pose proof (biased_grid_of_number w (Hn w Hw) N). pose proof (least_grid_le w vs Hw). lia. }
      assert (S : sum_of Rabs vs = sum_of (fun _ => 0) vs).
      { apply sum_of_ext. intros w Hw. now rewrite (Z w Hw), Rabs_R0. }
      rewrite S, sum_of_zeros. apply two_pos.
    * rewrite E, biased_grid_nonzero, limit_is by exact N. specialize (H v Hv N).
      rewrite <- bpow_plus in H. replace (grid_exponent v + 150 - 150)%Z with (grid_exponent v) by lia. exact H.
- intros H v Hv N. eapply Rlt_le_trans; [exact H |].
  rewrite limit_is, <- bpow_plus. apply bpow_le.
  pose proof (least_grid_le v vs Hv). rewrite biased_grid_nonzero in H0 by exact N. lia.
Qed.

Lemma least_grid_is_fp64 vs : (-1074 <= least_grid vs - 150)%Z.
Proof. pose proof (least_grid_positive vs). lia. Qed.

Lemma certified_perm vs ws : Permutation vs ws -> certified vs -> certified ws.
Proof.
intros P H v Hv N. rewrite <- (sum_of_perm Rabs _ _ P). apply H; [| exact N].
eapply Permutation_in; [apply Permutation_sym; exact P | exact Hv].
Qed.

(** Leaving numbers out leaves a certificate. *)
Lemma certified_part vs ws : certified (vs ++ ws) -> certified vs.
Proof.
intros H v Hv N. eapply Rle_lt_trans; [| apply (H v); [apply in_or_app; now left | exact N]].
rewrite sum_of_app. pose proof (sum_of_nonneg Rabs ws Rabs_pos). lra.
Qed.

(** * The tests of the code *)

Theorem passes_is_certified t : all_numbers F32 (leaves t) -> passes t <-> certified (leaves t).
Proof.
intros Hn. rewrite certified_is by exact Hn. unfold passes, magnitude64. rewrite limit_is.
pose proof (formats_of _ Hn) as F. pose proof (least_grid_is_fp64 (leaves t)).
pose proof (all_on_least_grid _ F) as G. rewrite Forall_forall in F.
change (sum64 positive t) with (sum64 (fun x => positive (id x)) t).
change (sum64 negative t) with (sum64 (fun x => negative (id x)) t).
change (sum_of Rabs (leaves t)) with (sum_of (fun x => Rabs (id x)) (leaves t)).
split; intros L.
- apply test_is_sound; try assumption. intros x Hx. now apply format32_is_format64, F.
- now apply test_passes.
Qed.

Theorem kernel_passes_is_certified vs : all_numbers F32 vs -> kernel_passes vs <-> certified vs.
Proof.
intros Hn. rewrite certified_is by exact Hn. unfold kernel_passes, running_sum. rewrite limit_is.
pose proof (formats_of _ Hn) as F. pose proof (least_grid_is_fp64 vs) as He.
pose proof (all_on_least_grid _ F) as G.
assert (GA : forall x, In x vs -> on_grid (least_grid vs - 150) (Rabs x)) by (intros; now apply on_grid_abs, G).
split; intros L.
- rewrite (running_below_is_exact F64 (least_grid vs - 150)) in L; rewrite ?Rplus_0_l in *; try assumption;
    try (exact Rabs_pos); try apply has_format_0; try apply on_grid_0; try apply Rle_refl.
- rewrite (running_is_exact F64 (least_grid vs - 150)); rewrite ?Rplus_0_l; try assumption; try apply on_grid_0.
  rewrite Rabs_R0, Rplus_0_l. change (precision F64) with 53%Z.
  rewrite (sum_of_ext _ Rabs) by (intros; apply Rabs_Rabsolu). lra.
Qed.

Theorem coefficients_pass_is_certified cs : all_numbers F32 cs -> coefficients_pass cs <-> certified cs.
Proof.
intros Hn. rewrite certified_is by exact Hn. unfold coefficients_pass. rewrite limit_is.
pose proof (formats_of _ Hn) as F. pose proof (least_grid_is_fp64 cs) as He.
pose proof (all_on_least_grid _ F) as G.
split; intros L.
- apply Rnot_le_lt. intros C. apply (Rlt_not_le _ _ L). apply RN_at_least; [now apply two_grids_above | exact C].
- rewrite (grid_is_exact F64 (least_grid cs - 150)); [exact L | | exact He |].
  + apply on_grid_sum. intros; now apply on_grid_abs, G.
  + rewrite Rabs_pos_eq by (apply sum_of_nonneg, Rabs_pos). change (precision F64) with 53%Z. lra.
Qed.

Lemma rmax_fold_le xs x : In x xs -> x <= fold_right Rmax 0 xs.
Proof.
induction xs as [| y xs IH]; [intros [] |]. simpl. intros [-> | H].
- apply Rmax_l. - eapply Rle_trans; [now apply IH | apply Rmax_r].
Qed.

Lemma zmin_fold_le xs x : In x xs -> (fold_right Z.min 255 xs <= x)%Z.
Proof. induction xs as [| y xs IH]; [intros [] |]. simpl. intros [-> | H]; [lia | specialize (IH H); lia]. Qed.

Theorem block_test_is_enough block : block_passes block -> forall t, In t block -> passes t.
Proof.
intros H t Ht. unfold passes.
apply Rle_lt_trans with (1 := rmax_fold_le (map magnitude64 block) _ (in_map magnitude64 _ _ Ht)).
eapply Rlt_le_trans; [exact H |]. unfold limit. apply bpow_le.
pose proof (zmin_fold_le _ _ (in_map (fun t => least_grid (leaves t)) _ _ Ht)) as L. simpl in L. lia.
Qed.

(** * What the certificate is good for *)

Lemma certified_bound vs : all_numbers F32 vs -> certified vs ->
  sum_of Rabs vs < 2^(53 + (least_grid vs - 150)).
Proof. intros Hn Hc. rewrite <- limit_is. now apply certified_is. Qed.

(** Any column f with |f x| <= |v x| that lies on the grids of v is summed exactly. *)
Lemma certified_column_is_exact {A} (v f : A -> R) t :
  all_numbers F32 (map v (leaves t)) -> certified (map v (leaves t)) ->
  (forall x, Rabs (f x) <= Rabs (v x)) -> (forall e x, on_grid e (v x) -> on_grid e (f x)) ->
  sum64 f t = sum_of f (leaves t).
Proof.
intros Hn Hc Hle Hg. pose proof (all_on_least_grid _ (formats_of _ Hn)) as G.
apply (grid_sum_is_exact f (least_grid (map v (leaves t)) - 150)); [apply least_grid_is_fp64 | |].
- intros x Hx. apply Hg, G. now apply in_map.
- apply Rlt_le. eapply Rle_lt_trans; [| apply (certified_bound _ Hn Hc)].
  rewrite sum_of_map. apply sum_of_le. intros x _. apply Hle.
Qed.

Lemma certified_running_is_exact {A} (v f : A -> R) xs :
  all_numbers F32 (map v xs) -> certified (map v xs) ->
  (forall x, Rabs (f x) <= Rabs (v x)) -> (forall e x, on_grid e (v x) -> on_grid e (f x)) ->
  running_sum F64 f xs = sum_of f xs.
Proof.
intros Hn Hc Hle Hg. pose proof (all_on_least_grid _ (formats_of _ Hn)) as G.
unfold running_sum. rewrite (running_is_exact F64 (least_grid (map v xs) - 150)).
- ring.
- apply least_grid_is_fp64.
- apply on_grid_0.
- intros x Hx. apply Hg, G. now apply in_map.
- rewrite Rabs_R0, Rplus_0_l. apply Rlt_le. eapply Rle_lt_trans; [| apply (certified_bound _ Hn Hc)].
  rewrite sum_of_map. apply sum_of_le. intros x _. apply Hle.
Qed.

Lemma positive_le v : Rabs (positive v) <= Rabs v.
Proof.
rewrite (Rabs_pos_eq _ (positive_nonneg v)), <- magnitude_by_sign. pose proof (negative_nonpos v). lra.
Qed.

Lemma negative_le v : Rabs (negative v) <= Rabs v.
Proof.
rewrite <- Rabs_Ropp, (Rabs_pos_eq _ (negative_nonpos v)), <- magnitude_by_sign. pose proof (positive_nonneg v). lra.
Qed.

Lemma part_is_certified t s : part_of s t ->
  all_numbers F32 (leaves t) -> certified (leaves t) -> all_numbers F32 (leaves s) /\ certified (leaves s).
Proof.
intros P Hn Hc. split.
- unfold all_numbers in *. rewrite Forall_forall in *. intros x Hx. apply Hn. now apply (part_of_leaves s t).
- intros v Hv N. eapply Rle_lt_trans; [apply (part_of_sum Rabs s t Rabs_pos P) |].
  apply Hc; [now apply (part_of_leaves s t) | exact N].
Qed.

Lemma certified_tree_is_exact (f : R -> R) t :
  (forall v, Rabs (f v) <= Rabs v) -> (forall e v, on_grid e v -> on_grid e (f v)) ->
  all_numbers F32 (leaves t) -> certified (leaves t) -> sum64 f t = sum_of f (leaves t).
Proof.
intros Hle Hg Hn Hc. apply (certified_column_is_exact id); rewrite ?map_id; try assumption.
Qed.

Theorem certified_sums_are_exact t s :
  all_numbers F32 (leaves t) -> certified (leaves t) -> part_of s t ->
  sum64 id s = sum (leaves s) /\
  sum64 positive s = sum_of positive (leaves s) /\
  sum64 negative s = sum_of negative (leaves s).
Proof.
intros Hn Hc P. destruct (part_is_certified t s P Hn Hc) as [Hn' Hc']. repeat split.
- rewrite (certified_tree_is_exact id) by (assumption || (intros; (apply Rle_refl || assumption))).
  unfold sum_of. now rewrite map_id.
- apply certified_tree_is_exact; try assumption; [apply positive_le | apply on_grid_max].
- apply certified_tree_is_exact; try assumption; [apply negative_le | apply on_grid_min].
Qed.

Theorem certified_order_is_immaterial t s :
  all_numbers F32 (leaves t) -> certified (leaves t) -> Permutation (leaves t) (leaves s) -> sum64 id t = sum64 id s.
Proof.
intros Hn Hc P.
assert (Hn' : all_numbers F32 (leaves s)) by (eapply Permutation_Forall; [exact P | exact Hn]).
destruct (certified_sums_are_exact t t Hn Hc (Itself t)) as [-> _].
destruct (certified_sums_are_exact s s Hn' (certified_perm _ _ P Hc) (Itself s)) as [-> _].
pose proof (sum_of_perm id _ _ P) as E. unfold sum_of in E. now rewrite !map_id in E.
Qed.

Lemma halves v : positive v = / 2 * (Rabs v + v) /\ negative v = / 2 * (v - Rabs v).
Proof. unfold positive, negative, Rmax, Rmin, Rabs. destruct Rle_dec, Rcase_abs; split; lra. Qed.

(** (A + S) / 2 and the like: twice a sum on a grid needs one bit more, and lies on the grid above. *)
Lemma half_is_exact d e x y z :
  (least_exponent d <= e)%Z -> on_grid e z -> Rabs z <= 2^(precision d + e) -> x + y = 2 * z -> RN d (x + y) = 2 * z.
Proof.
intros He [m Em] Hz ->. apply (grid_is_exact d (e + 1)).
- exists m. rewrite Em, bpow_plus. change (2^1) with 2. ring.
- lia.
- replace (precision d + (e + 1))%Z with (precision d + e + 1)%Z by lia. rewrite bpow_plus, Rabs_mult.
  rewrite (Rabs_pos_eq 2) by lra. change (2^1) with 2. lra.
Qed.
