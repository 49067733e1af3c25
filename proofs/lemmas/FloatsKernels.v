(** The fused kernels: sums with both signs together, and their magnitudes. *)

From Coq Require Import ZArith Reals Lia Lra List Permutation.
From Flocq Require Import Core.Core.
From MergeAlgebra.Definitions Require Import Bits Rounding Floats FloatsCode.
From MergeAlgebra.Lemmas Require Import FloatsNumbers FloatsSums FloatsMethods.
Import ListNotations.
Open Scope R_scope.

(** * S and A *)

Lemma S_positive_twice votes : sum_of value votes + sum_of (magnitude value) votes = 2 * sum_of S_positive votes.
Proof.
rewrite sum_of_plus, <- sum_of_scaled. apply sum_of_ext. intros x _. unfold S_positive, magnitude.
destruct (halves (value x)) as [-> _]. lra.
Qed.

Lemma S_negative_twice votes : sum_of value votes - sum_of (magnitude value) votes = 2 * sum_of S_negative votes.
Proof.
unfold Rminus. rewrite <- sum_of_opp, sum_of_plus, <- sum_of_scaled. apply sum_of_ext. intros x _.
unfold S_negative, magnitude. destruct (halves (value x)) as [_ ->]. lra.
Qed.

Section Values.

Variable votes : list vote.
Hypothesis Nv : all_numbers F32 (map value votes).
Hypothesis Cv : certified (map value votes).

Let e := (least_grid (map value votes) - 150)%Z.

Lemma column_on_grid (f : vote -> R) :
  (forall x, Rabs (f x) <= Rabs (value x)) -> (forall e x, on_grid e (value x) -> on_grid e (f x)) ->
  on_grid e (sum_of f votes) /\ Rabs (sum_of f votes) <= 2^(53 + e).
Proof.
intros Hle Hg. split.
- apply on_grid_sum. intros x Hx. apply Hg, (all_on_least_grid _ (formats_of _ Nv)). now apply in_map.
- apply Rlt_le. eapply Rle_lt_trans; [| apply (certified_bound _ Nv Cv)].
  eapply Rle_trans; [apply sum_of_abs |]. rewrite sum_of_map. apply sum_of_le. intros x _. apply Hle.
Qed.

Lemma kernel_S_positive :
  RN64 (RN64 (sum_of value votes + sum_of (magnitude value) votes) * / 2) = sum_of S_positive votes.
Proof.
destruct (column_on_grid S_positive S_positive_le S_positive_grid) as [G B].
rewrite (half_is_exact F64 e _ _ _ (least_grid_is_fp64 _) G B (S_positive_twice _)).
replace (2 * sum_of S_positive votes * / 2) with (sum_of S_positive votes) by field.
exact (grid_is_exact F64 e _ G (least_grid_is_fp64 _) B).
Qed.

Lemma kernel_S_negative :
  RN64 (RN64 (sum_of value votes - sum_of (magnitude value) votes) * / 2) = sum_of S_negative votes.
Proof.
destruct (column_on_grid S_negative S_negative_le S_negative_grid) as [G B]. unfold Rminus.
rewrite (half_is_exact F64 e _ _ _ (least_grid_is_fp64 _) G B (S_negative_twice _)).
replace (2 * sum_of S_negative votes * / 2) with (sum_of S_negative votes) by field.
exact (grid_is_exact F64 e _ G (least_grid_is_fp64 _) B).
Qed.

Lemma running_value : running_sum F64 value votes = sum_of value votes.
Proof. apply (certified_running_is_exact value); auto. intros; apply Rle_refl. Qed.

Lemma running_magnitude : running_sum F64 (magnitude value) votes = sum_of (magnitude value) votes.
Proof.
apply (certified_running_is_exact value); auto; unfold magnitude; [| intros; now apply on_grid_abs].
intros; rewrite Rabs_Rabsolu; apply Rle_refl.
Qed.

End Values.

(** * V and W *)

Lemma with_sign_le v one : Rabs (with_sign_of v one) <= Rabs one.
Proof.
unfold with_sign_of. destruct Rcompare; rewrite ?Rabs_R0, ?Rabs_Ropp; [apply Rabs_pos | apply Rle_refl | apply Rle_refl].
Qed.

Lemma with_sign_grid k v one : on_grid k one -> on_grid k (with_sign_of v one).
Proof. intros H. unfold with_sign_of. destruct Rcompare; [apply on_grid_0 | now apply on_grid_opp | exact H]. Qed.

Lemma half_has_format unit : has_format F32 unit -> RN64 (/ 2 * unit) = / 2 * unit.
Proof.
intros F. apply (grid_is_exact F64 (-1 + grid_exponent unit)).
- apply on_grid_mult; [exists 1%Z; simpl; lra | now apply (on_grid_of_format F32), Z.le_refl].
- pose proof (least_grid_exponent unit). change (least_exponent F64) with (-1074)%Z. lia.
- rewrite Rabs_mult, (Rabs_pos_eq (/ 2)) by lra. pose proof (magnitude_below_grid unit).
  change (precision F64) with 53%Z.
  assert (2^(24 + grid_exponent unit) <= 2^(53 + (-1 + grid_exponent unit))) by (apply bpow_le; lia).
  pose proof (Rabs_pos unit). lra.
Qed.

Lemma format_of_one d : has_format d 1.
Proof. change 1 with (2^0). apply has_format_two. now destruct d. Qed.

(** What holds of V and W however they are held: they count in a unit, on a grid that they do not overflow. *)
Definition counts (d : dtype) (unit : R) (e : Z) (votes : list vote) : Prop :=
  0 < unit /\ has_format F32 unit /\ (least_exponent d <= e)%Z /\
  (forall x, In x votes -> unit * kernel_vote d unit x = with_sign_of (value x) (coefficient x)) /\
  (forall x, In x votes -> on_grid e (kernel_vote d unit x)) /\
  sum_of (magnitude (kernel_vote d unit)) votes <= 2^(precision d + e) /\
  (forall n, on_grid e n -> Rabs n <= 2^(precision d + e) -> RN64 (unit * n) = unit * n).

Lemma sum_of_ones (f : vote -> R) xs : (forall x, In x xs -> f x <= 1) -> sum_of f xs <= INR (length xs).
Proof.
intros H. induction xs as [| x xs IH]; [unfold sum_of; simpl; lra |].
rewrite sum_of_cons. cbn [length]. rewrite S_INR. pose proof (H x (or_introl eq_refl)).
assert (sum_of f xs <= INR (length xs)) by (apply IH; intros; apply H; now right). lra.
Qed.

Lemma held_votes_count d unit votes others :
  all_numbers F32 (map coefficient votes ++ others) -> certified (map coefficient votes ++ others) ->
  held_in d unit (map coefficient votes ++ others) -> exists e, counts d unit e votes.
Proof.
intros N C [[-> ->] | (-> & [FU _] & PU & Same & Few)].
- apply Forall_app in N as [N _]. apply certified_part in C.
  exists (least_grid (map coefficient votes) - 150)%Z. pose proof (all_on_least_grid _ (formats_of _ N)) as G.
  assert (E : forall x, In x votes -> kernel_vote F64 1 x = with_sign_of (value x) (coefficient x)).
  { intros x Hx. unfold kernel_vote, Rdiv. rewrite Rinv_1, Rmult_1_r.
    unfold all_numbers in N. rewrite Forall_forall in N.
    assert (F : has_format F64 (coefficient x)) by (apply format32_is_format64, (N (coefficient x)); now apply in_map).
    now rewrite !(RN_number F64 _ F). }
  repeat split.
  + lra.
  + apply format_of_one.
  + apply least_grid_is_fp64.
  + intros x Hx. rewrite E by exact Hx. ring.
  + intros x Hx. rewrite E by exact Hx. now apply with_sign_grid, G, in_map.
  + apply Rlt_le. eapply Rle_lt_trans; [| apply (certified_bound _ N C)].
    rewrite sum_of_map. apply sum_of_le. intros x Hx. unfold magnitude. rewrite E by exact Hx. apply with_sign_le.
  + intros n Gn Bn. rewrite Rmult_1_l. exact (grid_is_exact F64 _ n Gn (least_grid_is_fp64 _) Bn).
- exists 0%Z.
  assert (Same' : forall x, In x votes -> coefficient x = unit).
  { intros x Hx. rewrite Forall_forall in Same. symmetry. apply Same, in_or_app. left. now apply in_map. }
  assert (E : forall x, In x votes -> kernel_vote F32 unit x = with_sign_of (value x) 1).
  { intros x Hx. unfold kernel_vote. rewrite (Same' x Hx). replace (unit / unit) with 1 by (field; lra).
    now rewrite (RN_number F64 1), (RN_number F32 1) by apply format_of_one. }
  repeat split.
  + exact PU.
  + exact FU.
  + discriminate.
  + intros x Hx. rewrite E, (Same' x Hx) by exact Hx. unfold with_sign_of. destruct Rcompare; ring.
  + intros x Hx. rewrite E by exact Hx. apply with_sign_grid. exists 1%Z. simpl. ring.
  + apply Rle_trans with (INR (length votes)).
    * apply sum_of_ones. intros x Hx. unfold magnitude. rewrite E by exact Hx.
      eapply Rle_trans; [apply with_sign_le |]. rewrite Rabs_R1. lra.
    * rewrite app_length, map_length in Few. rewrite INR_IZR_INZ.
      change (2^(precision F32 + 0)) with (IZR (2 ^ 24)). apply IZR_le. lia.
  + intros n Gn Bn. apply (grid_is_exact F64 (grid_exponent unit + 0)).
    * apply on_grid_mult; [now apply (on_grid_of_format F32), Z.le_refl | exact Gn].
    * pose proof (least_grid_exponent unit). change (least_exponent F64) with (-1074)%Z. lia.
    * rewrite Rabs_mult. pose proof (magnitude_below_grid unit) as M.
      eapply Rle_trans;
        [apply Rmult_le_compat; [apply Rabs_pos | apply Rabs_pos | apply Rlt_le; exact M | exact Bn] |].
      rewrite <- bpow_plus. apply bpow_le. change (precision F64) with 53%Z. change (precision F32) with 24%Z. lia.
Qed.

Lemma counts_running d unit e votes : counts d unit e votes ->
  running_sum d (kernel_vote d unit) votes = sum_of (kernel_vote d unit) votes /\
  running_sum d (magnitude (kernel_vote d unit)) votes = sum_of (magnitude (kernel_vote d unit)) votes.
Proof.
intros (_ & _ & He & _ & G & B & _). unfold running_sum. split.
- rewrite (running_is_exact d e He); [ring | apply on_grid_0 | exact G |].
  rewrite Rabs_R0, Rplus_0_l. exact B.
- rewrite (running_is_exact d e He); [ring | apply on_grid_0 | intros; now apply on_grid_abs, G |].
  rewrite Rabs_R0, Rplus_0_l.
  rewrite (sum_of_ext _ (magnitude (kernel_vote d unit))) by (intros; apply Rabs_Rabsolu). exact B.
Qed.

Lemma side_of_vote unit k v c : 0 < unit -> 0 < c -> unit * k = with_sign_of v c ->
  unit * positive k = (if Rlt_bool 0 v then c else 0) /\ unit * - negative k = (if Rlt_bool v 0 then c else 0).
Proof.
intros PU Pc. unfold with_sign_of, positive, negative, Rmax, Rmin.
destruct (Rtotal_order v 0) as [H | [H | H]].
- rewrite Rcompare_Lt, Rlt_bool_false, Rlt_bool_true by lra. intros E. assert (k < 0) by nra.
  destruct Rle_dec; split; lra.
- rewrite Rcompare_Eq, !Rlt_bool_false by lra. intros E. assert (k = 0) by nra. subst k.
  destruct Rle_dec; split; lra.
- rewrite Rcompare_Gt, Rlt_bool_true, Rlt_bool_false by lra. intros E. assert (0 < k) by nra.
  destruct Rle_dec; split; lra.
Qed.

(** W+ and W-, from V and W. *)
Lemma counted_weights d unit e votes : counts d unit e votes -> Forall (fun x => 0 < coefficient x) votes ->
  let v := sum_of (kernel_vote d unit) votes in
  let w := sum_of (magnitude (kernel_vote d unit)) votes in
  RN64 (RN d (w + v) * RN64 (/ 2 * unit)) = sum_of W_positive votes /\
  RN64 (RN d (w - v) * RN64 (/ 2 * unit)) = - sum_of W_negative votes.
Proof.
intros (PU & FU & He & U & G & B & Last) Pc v w. rewrite Forall_forall in Pc. set (k := kernel_vote d unit) in *.
assert (EP : sum_of W_positive votes = unit * sum_of (fun x => positive (k x)) votes).
{ rewrite <- sum_of_scaled. apply sum_of_ext. intros x Hx.
  symmetry. apply (side_of_vote unit (k x) (value x) (coefficient x) PU (Pc x Hx) (U x Hx)). }
assert (EN : - sum_of W_negative votes = unit * sum_of (fun x => - negative (k x)) votes).
{ rewrite <- sum_of_scaled, <- sum_of_opp. apply sum_of_ext. intros x Hx.
  destruct (side_of_vote unit (k x) (value x) (coefficient x) PU (Pc x Hx) (U x Hx)) as [_ ->].
  unfold W_negative. destruct Rlt_bool; ring. }
assert (TP : w + v = 2 * sum_of (fun x => positive (k x)) votes).
{ unfold v, w. rewrite sum_of_plus, <- sum_of_scaled. apply sum_of_ext. intros x _. unfold magnitude.
  destruct (halves (k x)) as [-> _]. lra. }
assert (TN : w - v = 2 * sum_of (fun x => - negative (k x)) votes).
{ unfold v, w, Rminus. rewrite <- sum_of_opp, sum_of_plus, <- sum_of_scaled. apply sum_of_ext. intros x _.
  unfold magnitude. destruct (halves (k x)) as [_ ->]. lra. }
assert (Side : forall f, (forall x, In x votes -> on_grid e (f x)) -> (forall x, In x votes -> Rabs (f x) <= Rabs (k x)) ->
  on_grid e (sum_of f votes) /\ Rabs (sum_of f votes) <= 2^(precision d + e)).
{ intros f Gf Bf. split; [now apply on_grid_sum |].
  eapply Rle_trans; [apply sum_of_abs | eapply Rle_trans; [| exact B]]. now apply sum_of_le. }
destruct (Side (fun x => positive (k x))) as [GP BP];
  [intros; now apply on_grid_max, G | intros; apply positive_le |].
destruct (Side (fun x => - negative (k x))) as [GN BN];
  [intros; now apply on_grid_opp, on_grid_min, G | intros; rewrite Rabs_Ropp; apply negative_le |].
rewrite (half_has_format unit FU), EP, EN. split.
- rewrite (half_is_exact d e w v _ He GP BP TP), <- (Last _ GP BP). f_equal. field.
- unfold Rminus in *. rewrite (half_is_exact d e w (- v) _ He GN BN TN), <- (Last _ GN BN). f_equal. field.
Qed.

(** * TIES-Merging *)

Lemma kernel_finalizes d unit e votes :
  all_numbers F32 (map value votes) -> certified (map value votes) ->
  all_numbers F32 (map coefficient votes) -> certified (map coefficient votes) ->
  Forall (fun x => 0 < coefficient x) votes -> counts d unit e votes ->
  finalize_in_kernel d unit (sum_of value votes) (sum_of (magnitude value) votes)
    (sum_of (kernel_vote d unit) votes) (sum_of (magnitude (kernel_vote d unit)) votes) = ties votes.
Proof.
intros Nv Cv N C Pc K. unfold finalize_in_kernel. rewrite kernel_S_positive, kernel_S_negative by assumption.
destruct (counted_weights d unit e votes K Pc) as [-> ->].
rewrite ties_is. fold (gamma votes). rewrite gamma_is. unfold rounded_ratio.
rewrite (RN_number F64 (sum_of S_positive _))
  by exact (certified_sum_format value S_positive _ Nv Cv S_positive_le S_positive_grid).
rewrite (RN_number F64 (sum_of S_negative _))
  by exact (certified_sum_format value S_negative _ Nv Cv S_negative_le S_negative_grid).
rewrite (RN_number F64 (sum_of W_positive _))
  by exact (certified_sum_format coefficient W_positive _ N C W_positive_le W_positive_grid).
rewrite (RN_number F64 (- sum_of W_negative _))
  by exact (has_format_opp _ _ (certified_sum_format coefficient W_negative _ N C W_negative_le W_negative_grid)).
reflexivity.
Qed.

Theorem ties_of_kernel_is_ties votes others :
  all_numbers F32 (map value votes) -> certified (map value votes) ->
  all_numbers F32 (map coefficient votes ++ others) -> certified (map coefficient votes ++ others) ->
  Forall (fun x => 0 < coefficient x) votes ->
  forall d unit, held_in d unit (map coefficient votes ++ others) -> ties_of_kernel d unit votes = ties votes.
Proof.
intros Nv Cv Nc Cc Pc d unit H. destruct (held_votes_count d unit votes others Nc Cc H) as [e K].
unfold ties_of_kernel. rewrite running_value, running_magnitude by assumption.
destruct (counts_running d unit e votes K) as [-> ->].
apply Forall_app in Nc as [N _]. apply certified_part in Cc. now apply (kernel_finalizes d unit e).
Qed.

Theorem mean_of_kernel_is_mean votes others :
  all_numbers F32 (map value votes) -> certified (map value votes) ->
  mean_of_kernel votes (RN64 (sum (map coefficient votes ++ others))) = mean votes others.
Proof.
intros Nv Cv. unfold mean_of_kernel, mean, rounded_ratio. rewrite running_value by assumption.
rewrite (RN_number F64 (sum_of value votes)); [reflexivity |].
apply (certified_sum_format value); try assumption; [intros; apply Rle_refl | auto].
Qed.

Theorem task_arithmetic_of_kernel_is_task_arithmetic votes :
  all_numbers F32 (map value votes) -> certified (map value votes) ->
  task_arithmetic_of_kernel votes = task_arithmetic votes.
Proof.
intros Nv Cv. unfold task_arithmetic_of_kernel, task_arithmetic. rewrite running_value by assumption.
rewrite (RN_number F64 (sum_of value votes)); [reflexivity |].
apply (certified_sum_format value); try assumption; [intros; apply Rle_refl | auto].
Qed.

(** * Kept sums *)

Lemma updated_by_kernel_is_updated d f kept retracted added :
  updated_by_kernel d f kept retracted added = updated d f kept retracted added.
Proof.
unfold updated_by_kernel, updated. f_equal. revert kept.
induction retracted as [| x xs IH]; intros kept; cbn [fold_left]; [ring |].
rewrite <- IH. do 3 f_equal. rewrite <- RN_opp. f_equal. ring.
Qed.

Section Kept.

Variable d : dtype.
Variable f : vote -> R.

Lemma taking_out_is_exact e : (least_exponent d <= e)%Z -> forall retracted old rest,
  (forall x, In x old -> on_grid e (f x)) -> sum_of (magnitude f) old <= 2^(precision d + e) ->
  Permutation old (retracted ++ rest) ->
  fold_left (fun s x => RN d (s - f x)) retracted (sum_of f old) = sum_of f rest.
Proof.
intros He retracted. induction retracted as [| x xs IH]; intros old rest G B P; cbn [fold_left].
- now apply sum_of_perm.
- assert (Gr : forall y, In y (xs ++ rest) -> on_grid e (f y)).
  { intros y Hy. apply G. eapply Permutation_in; [apply Permutation_sym; exact P | now right]. }
  assert (Br : sum_of (magnitude f) (xs ++ rest) <= 2^(precision d + e)).
  { rewrite (sum_of_perm _ _ _ P) in B. simpl app in B. rewrite sum_of_cons in B.
    pose proof (Rabs_pos (f x)). unfold magnitude at 1 in B. lra. }
  assert (E : RN d (sum_of f old - f x) = sum_of f (xs ++ rest)).
  { rewrite (sum_of_perm f _ _ P). simpl app. rewrite sum_of_cons.
    replace (f x + sum_of f (xs ++ rest) - f x) with (sum_of f (xs ++ rest)) by ring.
    apply (grid_is_exact d e); [now apply on_grid_sum | exact He |].
    eapply Rle_trans; [apply sum_of_abs | exact Br]. }
  rewrite E. now apply IH.
Qed.

Lemma kept_sum_is_exact e e' old retracted rest added :
  (least_exponent d <= e)%Z -> (least_exponent d <= e')%Z -> Permutation old (retracted ++ rest) ->
  (forall x, In x old -> on_grid e (f x)) -> sum_of (magnitude f) old <= 2^(precision d + e) ->
  (forall x, In x (rest ++ added) -> on_grid e' (f x)) ->
  sum_of (magnitude f) (rest ++ added) <= 2^(precision d + e') ->
  kept_sum d f old retracted added = sum_of f (rest ++ added).
Proof.
intros He He' P G B G' B'. unfold kept_sum, updated.
rewrite (taking_out_is_exact e He retracted old rest G B P), sum_of_app.
rewrite sum_of_app in B'. apply (running_is_exact d e' He').
- apply on_grid_sum. intros; apply G', in_or_app; tauto.
- intros; apply G', in_or_app; tauto.
- pose proof (sum_of_abs f rest). unfold magnitude in *. lra.
Qed.

End Kept.

Section Update.

Variable g : Z.
Variables old retracted rest added : list vote.
Hypothesis Nv : all_numbers F32 (map value (old ++ added)).
Hypothesis P : Permutation old (retracted ++ rest).
Hypothesis Hg : (1 <= g <= least_grid (map value old))%Z.
Hypothesis L : sum_of (magnitude value) old < limit g.

Let g' := kept_grid g retracted added.

Lemma rest_is_old x : In x rest -> In x old.
Proof. intros Hx. eapply Permutation_in; [apply Permutation_sym; exact P | apply in_or_app; now right]. Qed.

Lemma value_format x : In x (old ++ added) -> has_format F32 (value x).
Proof. intros Hx. unfold all_numbers in Nv. rewrite Forall_forall in Nv. apply Nv. now apply in_map. Qed.

Lemma kept_grid_bounds : (1 <= g' <= g)%Z.
Proof. unfold g', kept_grid. pose proof (least_grid_positive (map value (retracted ++ added))). lia. Qed.

Lemma old_biased x : In x old -> (g <= biased_grid (value x))%Z.
Proof. intros Hx. pose proof (least_grid_le _ _ (in_map value _ _ Hx)). lia. Qed.

Lemma new_biased x : In x (rest ++ added) -> (g' <= biased_grid (value x))%Z.
Proof.
intros Hx. apply in_app_or in Hx as [Hx | Hx].
- pose proof (old_biased x (rest_is_old x Hx)). pose proof kept_grid_bounds. lia.
- pose proof (least_grid_le _ _ (in_map value (retracted ++ added) x (in_or_app _ _ _ (or_intror Hx)))).
  unfold g', kept_grid. lia.
Qed.

Lemma old_on_grid x : In x old -> on_grid (g - 150) (value x).
Proof. intros Hx. apply on_biased_grid; [apply value_format, in_or_app; now left | now apply old_biased]. Qed.

Lemma new_on_grid x : In x (rest ++ added) -> on_grid (g' - 150) (value x).
Proof.
intros Hx. apply on_biased_grid; [| now apply new_biased]. apply value_format. apply in_app_or in Hx as [Hx | Hx];
  apply in_or_app; [left; now apply rest_is_old | now right].
Qed.

Lemma old_exponent : (least_exponent F64 <= g - 150)%Z.
Proof. change (least_exponent F64) with (-1074)%Z. lia. Qed.

Lemma new_exponent : (least_exponent F64 <= g' - 150)%Z.
Proof. pose proof kept_grid_bounds. change (least_exponent F64) with (-1074)%Z. lia. Qed.

Lemma magnitudes_nonneg xs : 0 <= sum_of (magnitude value) xs.
Proof. apply sum_of_nonneg. intros; apply Rabs_pos. Qed.

Lemma twice_magnitude xs : sum_of (magnitude (magnitude value)) xs = sum_of (magnitude value) xs.
Proof. apply sum_of_ext. intros; apply Rabs_Rabsolu. Qed.

(** What the test says of A, as it was computed and as it is. *)
Lemma kept_test : kept_passes g old retracted added <-> sum_of (magnitude value) (rest ++ added) < limit g'.
Proof.
unfold kept_passes. fold g'. rewrite !limit_is. pose proof L as L'. rewrite limit_is in L'. split; intros T.
- assert (O : fold_left (fun s x => RN64 (s - magnitude value x)) retracted (sum_of (magnitude value) old)
              = sum_of (magnitude value) rest).
  { apply (taking_out_is_exact F64 (magnitude value) (g - 150) old_exponent) with (old := old); [| | exact P].
    - intros; now apply on_grid_abs, old_on_grid.
    - rewrite twice_magnitude. now apply Rlt_le. }
  unfold kept_sum, updated in T. rewrite O in T. rewrite sum_of_app.
  rewrite (running_below_is_exact F64 (g' - 150) new_exponent) in T; [exact T | | | | | |].
  + intros; apply Rabs_pos.
  + apply (format_of_grid F64 (g - 150)); [| exact old_exponent |].
    * apply on_grid_sum. intros; now apply on_grid_abs, old_on_grid, rest_is_old.
    * rewrite Rabs_pos_eq by apply magnitudes_nonneg. rewrite (sum_of_perm _ _ _ P), sum_of_app in L'.
      pose proof (magnitudes_nonneg retracted). change (precision F64) with 53%Z. lra.
  + apply magnitudes_nonneg.
  + apply on_grid_sum. intros; apply on_grid_abs, new_on_grid, in_or_app; tauto.
  + intros; apply on_grid_abs, new_on_grid, in_or_app; tauto.
  + exact T.
- rewrite (kept_sum_is_exact F64 (magnitude value) (g - 150) (g' - 150) old retracted rest added); try assumption.
  + exact old_exponent.
  + exact new_exponent.
  + intros; now apply on_grid_abs, old_on_grid.
  + rewrite twice_magnitude. now apply Rlt_le.
  + intros; now apply on_grid_abs, new_on_grid.
  + rewrite twice_magnitude. now apply Rlt_le.
Qed.

(** What an update needs of the sums before, it leaves to the next. *)
Lemma kept_on : kept_passes g old retracted added ->
  (1 <= g' <= least_grid (map value (rest ++ added)))%Z /\ sum_of (magnitude value) (rest ++ added) < limit g'.
Proof.
intros T. split; [| now apply kept_test]. split; [apply kept_grid_bounds |].
destruct (least_grid_attained (map value (rest ++ added))) as [-> | (v & Hv & ->)].
- pose proof kept_grid_bounds. assert (B : forall vs, (least_grid vs <= 255)%Z).
  { induction vs as [| v vs IH]; [reflexivity | rewrite least_grid_cons; lia]. }
  specialize (B (map value old)). lia.
- apply in_map_iff in Hv as (x & <- & Hx). now apply new_biased.
Qed.

Lemma kept_values : kept_passes g old retracted added ->
  kept_sum F64 value old retracted added = sum_of value (rest ++ added) /\
  kept_sum F64 (magnitude value) old retracted added = sum_of (magnitude value) (rest ++ added) /\
  certified (map value (rest ++ added)).
Proof.
intros T. apply kept_test in T. pose proof L as L'. rewrite limit_is in L', T. repeat split.
- apply (kept_sum_is_exact F64 value (g - 150) (g' - 150));
    [exact old_exponent | exact new_exponent | exact P | exact old_on_grid | now apply Rlt_le | exact new_on_grid |
     now apply Rlt_le].
- apply (kept_sum_is_exact F64 (magnitude value) (g - 150) (g' - 150)); try exact P.
  + exact old_exponent.
  + exact new_exponent.
  + intros; now apply on_grid_abs, old_on_grid.
  + rewrite twice_magnitude. now apply Rlt_le.
  + intros; now apply on_grid_abs, new_on_grid.
  + rewrite twice_magnitude. now apply Rlt_le.
- intros v Hv N. rewrite sum_of_map. apply in_map_iff in Hv as (x & <- & Hx).
  eapply Rlt_le_trans; [exact T |]. rewrite <- bpow_plus. apply bpow_le.
  pose proof (new_biased x Hx) as K. rewrite biased_grid_nonzero in K by exact N. lia.
Qed.

Theorem ties_of_kept_is_ties others d unit :
  kept_passes g old retracted added ->
  all_numbers F32 (map coefficient (old ++ added)) ->
  certified (map coefficient old) -> certified (map coefficient (rest ++ added) ++ others) ->
  Forall (fun x => 0 < coefficient x) (old ++ added) ->
  held_in d unit (map coefficient (old ++ added)) ->
  ties_of_kept d unit old retracted added = ties (rest ++ added).
Proof.
intros T Nc Co Cn Pc H. apply certified_part in Cn.
assert (Sub : forall x, In x (rest ++ added) -> In x (old ++ added)).
{ intros x Hx. apply in_or_app. apply in_app_or in Hx as [Hx | Hx]; [left; now apply rest_is_old | now right]. }
assert (Nn : all_numbers F32 (map coefficient (rest ++ added))).
{ unfold all_numbers in *. rewrite Forall_forall in *. intros c Hc. apply in_map_iff in Hc as (x & <- & Hx).
  apply Nc. now apply in_map, Sub. }
assert (No : all_numbers F32 (map coefficient old)) by (rewrite map_app in Nc; now apply Forall_app in Nc).
assert (Nw : all_numbers F32 (map value (rest ++ added))).
{ unfold all_numbers in *. rewrite Forall_forall in *. intros c Hc. apply in_map_iff in Hc as (x & <- & Hx).
  apply Nv. now apply in_map, Sub. }
assert (Pn : Forall (fun x => 0 < coefficient x) (rest ++ added)).
{ rewrite Forall_forall in *. intros x Hx. now apply Pc, Sub. }
assert (Len : (length (rest ++ added) <= length (old ++ added))%nat).
{ rewrite !app_length, (Permutation_length P), app_length. lia. }
assert (held : forall xs, (forall x, In x xs -> In x (old ++ added)) -> (length xs <= length (old ++ added))%nat ->
  held_in d unit (map coefficient xs ++ [])).
{ intros xs Hx Hl. rewrite app_nil_r. destruct H as [H | (D & U & PU & Same & Few)]; [now left | right].
  repeat split; try assumption; try apply U.
  - rewrite Forall_forall in *. intros c Hc. apply in_map_iff in Hc as (x & <- & Hc). apply Same. now apply in_map, Hx.
  - rewrite map_length in *. lia. }
destruct (held_votes_count d unit old []) as [e K]; try (rewrite app_nil_r; assumption).
{ apply held; [intros; apply in_or_app; now left | rewrite app_length; lia]. }
destruct (held_votes_count d unit (rest ++ added) []) as [e' K']; try (rewrite app_nil_r; assumption).
{ apply held; assumption. }
destruct (kept_values T) as (ES & EA & Cw).
pose proof K as (_ & _ & He & _ & G & B & _). pose proof K' as (_ & _ & He' & _ & G' & B' & _).
assert (twice : forall xs,
  sum_of (magnitude (magnitude (kernel_vote d unit))) xs = sum_of (magnitude (kernel_vote d unit)) xs)
  by (intros; apply sum_of_ext; intros; apply Rabs_Rabsolu).
unfold ties_of_kept. rewrite ES, EA.
rewrite (kept_sum_is_exact d (kernel_vote d unit) e e' old retracted rest added) by assumption.
rewrite (kept_sum_is_exact d (magnitude (kernel_vote d unit)) e e' old retracted rest added);
  try assumption; try (rewrite twice; assumption); try (intros; apply on_grid_abs; auto).
now apply (kernel_finalizes d unit e').
Qed.

End Update.
