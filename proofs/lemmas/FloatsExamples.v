(** The counterexamples, computed. *)

From Coq Require Import ZArith List Permutation.
From Flocq Require Import Core.Core IEEE754.BinarySingleNaN IEEE754.Binary IEEE754.Bits.
From MergeAlgebra.Definitions Require Import Bits Rounding FloatsCode FloatsExamples.
Import ListNotations.
Open Scope Z_scope.

Ltac computed := repeat split; vm_compute; reflexivity.

Theorem fp32_addition_is_not_associative :
  let a := whole F32 (2 ^ 24) in let b := whole F32 1 in
  same_bits (add32 (add32 a b) b) (whole F32 (2 ^ 24)) /\
  same_bits (add32 a (add32 b b)) (whole F32 (2 ^ 24 + 2)).
Proof. computed. Qed.

Theorem fp32_sums_depend_on_order :
  Permutation [2 ^ 24; 1; 1] [1; 1; 2 ^ 24] /\
  same_bits (left_to_right_32 (wholes [2 ^ 24; 1; 1])) (whole F32 (2 ^ 24)) /\
  same_bits (left_to_right_32 (wholes [1; 1; 2 ^ 24])) (whole F32 (2 ^ 24 + 2)).
Proof. split; [apply Permutation_sym, (Permutation_app_comm [1; 1] [2 ^ 24]) | computed]. Qed.

Theorem fp32_sums_elect_either_sign :
  let xs := [2 ^ 24; 1; 1; - 2 ^ 24; -1] in let ys := [1; 1; 2 ^ 24; - 2 ^ 24; -1] in
  Permutation xs ys /\ sum_of_wholes xs = 1 /\
  sign_of (left_to_right_32 (wholes xs)) = Some Lt /\ sign_of (left_to_right_32 (wholes ys)) = Some Gt.
Proof. intros xs ys. split; [apply (Permutation_app_tail [- 2 ^ 24; -1] (Permutation_app_comm [2 ^ 24] [1; 1])) | computed]. Qed.

Theorem fp64_sums_elect_wrongly :
  let xs := [2 ^ 53; 1; - 2 ^ 53] in
  sum_of_wholes xs = 1 /\ sign_of (left_to_right_64 (wholes xs)) = Some Eq /\
  same_bits (left_to_right_64 (wholes [2 ^ 53; 1])) (whole F64 (2 ^ 53)) /\
  machine_passes (wholes xs) = false.
Proof. computed. Qed.

Theorem fp64_sums_depend_on_order :
  let xs := [2 ^ 53; 1; - 2 ^ 53] in let ys := [2 ^ 53; - 2 ^ 53; 1] in
  Permutation xs ys /\
  same_bits (left_to_right_64 (wholes xs)) (whole F64 0) /\ same_bits (left_to_right_64 (wholes ys)) (whole F64 1).
Proof. intros xs ys. split; [apply perm_skip, perm_swap | computed]. Qed.

Theorem the_limit_itself_is_too_much :
  let xs := [2 ^ 53 - 2 ^ 29; 2 ^ 29 - 2 ^ 23; 2 ^ 23 + 1] in
  Forall (fun n => same_bits (widen (whole F32 n)) (whole F64 n)) xs /\
  sum_of_wholes xs = 2 ^ 53 + 1 /\
  same_bits (left_to_right_64 (wholes xs)) (whole F64 (2 ^ 53)) /\
  same_bits (machine_limit (cpu_grid (wholes xs))) (whole F64 (2 ^ 53)).
Proof. split; [repeat constructor; vm_compute; reflexivity | computed]. Qed.

Theorem exact_sums_may_lack_a_certificate :
  let x := whole F16 65504 in let y := dyadic_number F16 1 (-24) in
  let xs := [convert F32 x; convert F32 y] in
  same_bits (left_to_right_64 xs) (dyadic_number F64 (65504 * 2 ^ 24 + 1) (-24)) /\ machine_passes xs = false.
Proof. computed. Qed.

Theorem bf16_differences_are_not_bf16 :
  let base := dyadic_number BF16 1 (-20) in
  let tau n := subtract32 (convert F32 (whole BF16 n)) (convert F32 base) in
  let one_way := left_to_right_64 [tau (2 ^ 40); tau (- 2 ^ 40); tau 1; tau (-1)] in
  let other_way := left_to_right_64 [tau (2 ^ 40); tau 1; tau (- 2 ^ 40); tau (-1)] in
  same_bits one_way (dyadic_number F64 (-1) (-19)) /\ same_bits other_way (dyadic_number F64 (-1) (-20)).
Proof. computed. Qed.

Theorem two_roundings_are_not_one :
  let x := Float radix2 (2 ^ 60 + 2 ^ 36 + 1) 0 in
  same_bits (convert F32 (round_to F64 x)) (whole F32 (2 ^ 60)) /\
  same_bits (round_to F32 x) (whole F32 (2 ^ 60 + 2 ^ 37)).
Proof. computed. Qed.

Theorem an_inexact_difference_loses_the_finetune :
  let base := whole F32 1 in let finetuned := dyadic_number F32 1 (-30) in
  same_bits (add32 base (subtract32 finetuned base)) (whole F32 0) /\ sign_of finetuned = Some Gt.
Proof. computed. Qed.

Theorem averaging_is_not_associative :
  let x := whole F32 0 in let y := whole F32 4 in
  same_bits (average (average x x) y) (whole F32 2) /\ same_bits (average x (average x y)) (whole F32 1).
Proof. computed. Qed.
