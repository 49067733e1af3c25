(** The methods, as the code computes them, are the clauses. *)

From Coq Require Import ZArith Reals Lia Lra List Permutation.
From Flocq Require Import Core.Core.
From MergeAlgebra.Definitions Require Import Bits Rounding Floats FloatsCode.
From MergeAlgebra.Lemmas Require Import FloatsNumbers FloatsSums.
Import ListNotations.
Open Scope R_scope.

(** * Sums by sign *)

Ltac by_sign_of v :=
  destruct (Rtotal_order v 0) as [?H | [?H | ?H]];
  [ rewrite ?(Rcompare_Lt v 0), ?(Rlt_bool_true v 0), ?(Rlt_bool_false 0 v) by lra
  | rewrite ?(Rcompare_Eq v 0), ?(Rlt_bool_false v 0), ?(Rlt_bool_false 0 v) by lra
  | rewrite ?(Rcompare_Gt v 0), ?(Rlt_bool_false v 0), ?(Rlt_bool_true 0 v) by lra ].

Lemma sum_having_positive (f : vote -> R) votes :
  sum_of f (having Gt votes) = sum_of (fun x => if Rlt_bool 0 (value x) then f x else 0) votes.
Proof.
induction votes as [| x xs IH]; [reflexivity |]. unfold having in *. cbn [filter].
rewrite sum_of_cons, <- IH. by_sign_of (value x); rewrite ?sum_of_cons; ring.
Qed.

Lemma sum_having_negative (f : vote -> R) votes :
  sum_of f (having Lt votes) = sum_of (fun x => if Rlt_bool (value x) 0 then f x else 0) votes.
Proof.
induction votes as [| x xs IH]; [reflexivity |]. unfold having in *. cbn [filter].
rewrite sum_of_cons, <- IH. by_sign_of (value x); rewrite ?sum_of_cons; ring.
Qed.

Lemma S_positive_is votes : sum_of value (having Gt votes) = sum_of S_positive votes.
Proof.
rewrite sum_having_positive. apply sum_of_ext. intros x _. unfold S_positive, positive, Rmax.
destruct Rle_dec; by_sign_of (value x); lra.
Qed.

Lemma S_negative_is votes : sum_of value (having Lt votes) = sum_of S_negative votes.
Proof.
rewrite sum_having_negative. apply sum_of_ext. intros x _. unfold S_negative, negative, Rmin.
destruct Rle_dec; by_sign_of (value x); lra.
Qed.

Lemma W_positive_is votes : sum_of coefficient (having Gt votes) = sum_of W_positive votes.
Proof. apply sum_having_positive. Qed.

Lemma W_negative_is votes : sum_of coefficient (having Lt votes) = - sum_of W_negative votes.
Proof.
rewrite sum_having_negative, <- sum_of_opp. apply sum_of_ext. intros x _. unfold W_negative. destruct Rlt_bool; ring.
Qed.

Lemma total_is votes : sum_of S_positive votes + sum_of S_negative votes = sum_of value votes.
Proof. rewrite sum_of_plus. apply sum_of_ext. intros x _. apply by_sign. Qed.

Lemma gamma_is votes : gamma votes = Rcompare (sum_of S_positive votes) (- sum_of S_negative votes).
Proof.
unfold gamma. rewrite <- total_is. rewrite <- (Rcompare_plus_r (- sum_of S_negative votes)). f_equal; ring.
Qed.

Lemma ties_is votes :
  ties votes = match Rcompare (sum_of S_positive votes) (- sum_of S_negative votes) with
               | Eq => 0
               | Gt => rounded_ratio (sum_of S_positive votes) (sum_of W_positive votes)
               | Lt => rounded_ratio (sum_of S_negative votes) (- sum_of W_negative votes)
               end.
Proof.
unfold ties. rewrite gamma_is. destruct Rcompare; [reflexivity | |].
- now rewrite S_negative_is, W_negative_is.
- now rewrite S_positive_is, W_positive_is.
Qed.

(** * Columns *)

Lemma S_positive_le x : Rabs (S_positive x) <= Rabs (value x). Proof. apply positive_le. Qed.
Lemma S_negative_le x : Rabs (S_negative x) <= Rabs (value x). Proof. apply negative_le. Qed.
Lemma S_positive_grid e x : on_grid e (value x) -> on_grid e (S_positive x). Proof. apply on_grid_max. Qed.
Lemma S_negative_grid e x : on_grid e (value x) -> on_grid e (S_negative x). Proof. apply on_grid_min. Qed.

Lemma W_positive_le x : Rabs (W_positive x) <= Rabs (coefficient x).
Proof. unfold W_positive. destruct Rlt_bool; rewrite ?Rabs_R0; [apply Rle_refl | apply Rabs_pos]. Qed.
Lemma W_negative_le x : Rabs (W_negative x) <= Rabs (coefficient x).
Proof. unfold W_negative. destruct Rlt_bool; rewrite ?Rabs_R0, ?Rabs_Ropp; [apply Rle_refl | apply Rabs_pos]. Qed.
Lemma W_positive_grid e x : on_grid e (coefficient x) -> on_grid e (W_positive x).
Proof. unfold W_positive. destruct Rlt_bool; intros; [assumption | apply on_grid_0]. Qed.
Lemma W_negative_grid e x : on_grid e (coefficient x) -> on_grid e (W_negative x).
Proof. unfold W_negative. destruct Rlt_bool; intros; [now apply on_grid_opp | apply on_grid_0]. Qed.

(** A certified sum of any such column is itself an fp64 number. *)
Lemma certified_sum_format {A} (v f : A -> R) xs :
  all_numbers F32 (map v xs) -> certified (map v xs) ->
  (forall x, Rabs (f x) <= Rabs (v x)) -> (forall e x, on_grid e (v x) -> on_grid e (f x)) ->
  has_format F64 (sum_of f xs).
Proof.
intros Hn Hc Hle Hg. pose proof (all_on_least_grid _ (formats_of _ Hn)) as G.
apply (format_of_grid F64 (least_grid (map v xs) - 150)); [| apply least_grid_is_fp64 |].
- apply on_grid_sum. intros x Hx. apply Hg, G. now apply in_map.
- apply Rlt_le. eapply Rle_lt_trans; [| apply (certified_bound _ Hn Hc)].
  eapply Rle_trans; [apply sum_of_abs |]. rewrite sum_of_map. apply sum_of_le. intros x _. apply Hle.
Qed.

Theorem ties_by_sign_is_ties t others :
  all_numbers F32 (map value (leaves t)) -> certified (map value (leaves t)) ->
  all_numbers F32 (map coefficient (leaves t) ++ others) -> certified (map coefficient (leaves t) ++ others) ->
  ties_by_sign t = ties (leaves t).
Proof.
intros Nv Cv Nc Cc. apply Forall_app in Nc as [Nc _]. apply certified_part in Cc.
unfold ties_by_sign, finalize_by_sign. rewrite ties_is. unfold rounded_ratio.
rewrite (certified_column_is_exact value S_positive t Nv Cv S_positive_le S_positive_grid).
rewrite (certified_column_is_exact value S_negative t Nv Cv S_negative_le S_negative_grid).
rewrite (certified_column_is_exact coefficient W_positive t Nc Cc W_positive_le W_positive_grid).
rewrite (certified_column_is_exact coefficient W_negative t Nc Cc W_negative_le W_negative_grid).
rewrite (RN_number F64 (sum_of S_positive _))
  by exact (certified_sum_format value S_positive _ Nv Cv S_positive_le S_positive_grid).
rewrite (RN_number F64 (sum_of S_negative _))
  by exact (certified_sum_format value S_negative _ Nv Cv S_negative_le S_negative_grid).
rewrite (RN_number F64 (sum_of W_positive _))
  by exact (certified_sum_format coefficient W_positive _ Nc Cc W_positive_le W_positive_grid).
rewrite (RN_number F64 (- sum_of W_negative _))
  by exact (has_format_opp _ _ (certified_sum_format coefficient W_negative _ Nc Cc W_negative_le W_negative_grid)).
reflexivity.
Qed.

Lemma total_by_sign t :
  all_numbers F32 (map value (leaves t)) -> certified (map value (leaves t)) ->
  sum64 S_positive t + sum64 S_negative t = sum_of value (leaves t).
Proof.
intros Nv Cv.
rewrite (certified_column_is_exact value S_positive t Nv Cv S_positive_le S_positive_grid).
rewrite (certified_column_is_exact value S_negative t Nv Cv S_negative_le S_negative_grid).
apply total_is.
Qed.

Theorem mean_by_sign_is_mean t others :
  all_numbers F32 (map value (leaves t)) -> certified (map value (leaves t)) ->
  mean_by_sign t (RN64 (sum (map coefficient (leaves t) ++ others))) = mean (leaves t) others.
Proof. intros Nv Cv. unfold mean_by_sign, mean, rounded_ratio. now rewrite total_by_sign. Qed.

Theorem task_arithmetic_by_sign_is_task_arithmetic t :
  all_numbers F32 (map value (leaves t)) -> certified (map value (leaves t)) ->
  task_arithmetic_by_sign t = task_arithmetic (leaves t).
Proof. intros Nv Cv. unfold task_arithmetic_by_sign, task_arithmetic. now rewrite total_by_sign. Qed.

(** Coefficients that are all the same are certified. *)
Theorem equal_coefficients_are_certified unit cs :
  is_number F32 unit -> Forall (eq unit) cs -> (Z.of_nat (length cs) <= 2 ^ 29)%Z -> certified cs.
Proof.
intros [F _] Same Few v Hv N. rewrite Forall_forall in Same. rewrite <- (Same v Hv) in *.
assert (E : sum_of Rabs cs = INR (length cs) * Rabs unit).
{ clear Few Hv. induction cs as [| c cs IH]; [unfold sum_of; simpl; ring |].
  rewrite sum_of_cons, IH by (intros; apply Same; now right). cbn [length]. rewrite S_INR, <- (Same c) by now left. ring. }
rewrite E, <- bpow_plus. eapply Rle_lt_trans.
- apply Rmult_le_compat_r; [apply Rabs_pos |]. rewrite INR_IZR_INZ. apply IZR_le, Few.
- change (IZR (2 ^ 29)) with (2^29). replace (53 + grid_exponent unit)%Z with (29 + (24 + grid_exponent unit))%Z by lia.
  rewrite (bpow_plus radix2 29). apply Rmult_lt_compat_l; [apply two_pos | apply magnitude_below_grid].
Qed.
