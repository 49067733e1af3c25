(** What does not hold, by computation on bits. Each says why a clause, or a word of one, is there. *)

From Coq Require Import ZArith List Permutation.
From Flocq Require Import Core.Core IEEE754.BinarySingleNaN IEEE754.Binary IEEE754.Bits.
From MergeAlgebra.Definitions Require Import Bits Rounding FloatsCode FloatsExamples.
From MergeAlgebra.Lemmas Require FloatsExamples.
Import ListNotations.
Open Scope Z_scope.

(** Addition in fp32 is not associative. [EX-1] *)
Theorem fp32_addition_is_not_associative :
  let a := whole F32 (2 ^ 24) in let b := whole F32 1 in
  same_bits (add32 (add32 a b) b) (whole F32 (2 ^ 24)) /\
  same_bits (add32 a (add32 b b)) (whole F32 (2 ^ 24 + 2)).
Proof. exact FloatsExamples.fp32_addition_is_not_associative. Qed.

(** A sum in fp32 depends on the order of contributions. [EX-1, TI-1] *)
Theorem fp32_sums_depend_on_order :
  Permutation [2 ^ 24; 1; 1] [1; 1; 2 ^ 24] /\
  same_bits (left_to_right_32 (wholes [2 ^ 24; 1; 1])) (whole F32 (2 ^ 24)) /\
  same_bits (left_to_right_32 (wholes [1; 1; 2 ^ 24])) (whole F32 (2 ^ 24 + 2)).
Proof. exact FloatsExamples.fp32_sums_depend_on_order. Qed.

(** Even the sign that a sum in fp32 elects depends on the order: here the exact sum is 1, and one order elects minus.
    [TI-7] *)
Theorem fp32_sums_elect_either_sign :
  let xs := [2 ^ 24; 1; 1; - 2 ^ 24; -1] in let ys := [1; 1; 2 ^ 24; - 2 ^ 24; -1] in
  Permutation xs ys /\ sum_of_wholes xs = 1 /\
  sign_of (left_to_right_32 (wholes xs)) = Some Lt /\ sign_of (left_to_right_32 (wholes ys)) = Some Gt.
Proof. exact FloatsExamples.fp32_sums_elect_either_sign. Qed.

(** In fp64, a sum that is not certified may elect nobody where the exact sum elects plus; summing each sign apart
    does not help, and the certificate refuses it. [TI-7, EX-2, EX-3] *)
Theorem fp64_sums_elect_wrongly :
  let xs := [2 ^ 53; 1; - 2 ^ 53] in
  sum_of_wholes xs = 1 /\ sign_of (left_to_right_64 (wholes xs)) = Some Eq /\
  same_bits (left_to_right_64 (wholes [2 ^ 53; 1])) (whole F64 (2 ^ 53)) /\
  machine_passes (wholes xs) = false.
Proof. exact FloatsExamples.fp64_sums_elect_wrongly. Qed.

(** Sums in fp64 that are not certified depend on the order. [EX-2, EX-3] *)
Theorem fp64_sums_depend_on_order :
  let xs := [2 ^ 53; 1; - 2 ^ 53] in let ys := [2 ^ 53; - 2 ^ 53; 1] in
  Permutation xs ys /\
  same_bits (left_to_right_64 (wholes xs)) (whole F64 0) /\ same_bits (left_to_right_64 (wholes ys)) (whole F64 1).
Proof. exact FloatsExamples.fp64_sums_depend_on_order. Qed.

(** "Below" in the certificate is strict: here the computed sum of magnitudes equals the limit, and is not exact.
    [EX-2] *)
Theorem the_limit_itself_is_too_much :
  let xs := [2 ^ 53 - 2 ^ 29; 2 ^ 29 - 2 ^ 23; 2 ^ 23 + 1] in
  Forall (fun n => same_bits (widen (whole F32 n)) (whole F64 n)) xs /\
  sum_of_wholes xs = 2 ^ 53 + 1 /\
  same_bits (left_to_right_64 (wholes xs)) (whole F64 (2 ^ 53)) /\
  same_bits (machine_limit (cpu_grid (wholes xs))) (whole F64 (2 ^ 53)).
Proof. exact FloatsExamples.the_limit_itself_is_too_much. Qed.

(** The certificate is enough, not needed: it looks at v as fp32 numbers, and refuses two fp16 numbers that add
    exactly. [EX-2] *)
Theorem exact_sums_may_lack_a_certificate :
  let x := whole F16 65504 in let y := dyadic_number F16 1 (-24) in
  let xs := [convert F32 x; convert F32 y] in
  same_bits (left_to_right_64 xs) (dyadic_number F64 (65504 * 2 ^ 24 + 1) (-24)) /\ machine_passes xs = false.
Proof. exact FloatsExamples.exact_sums_may_lack_a_certificate. Qed.

(** Differences of bf16 checkpoints are not like bf16 numbers: four of them within 42 binades, where 2^46 / 2^42 = 16
    bf16 numbers would add exactly, do not. [TV-2, EX-2] *)
Theorem bf16_differences_are_not_bf16 :
  let base := dyadic_number BF16 1 (-20) in
  let tau n := subtract32 (convert F32 (whole BF16 n)) (convert F32 base) in
  let one_way := left_to_right_64 [tau (2 ^ 40); tau (- 2 ^ 40); tau 1; tau (-1)] in
  let other_way := left_to_right_64 [tau (2 ^ 40); tau 1; tau (- 2 ^ 40); tau (-1)] in
  same_bits one_way (dyadic_number F64 (-1) (-19)) /\ same_bits other_way (dyadic_number F64 (-1) (-20)).
Proof. exact FloatsExamples.bf16_differences_are_not_bf16. Qed.

(** To round to fp64 and then to fp32 is not to round once, so the clauses name both roundings. [TI-8, ME-1, TA-1,
    MG-3] *)
Theorem two_roundings_are_not_one :
  let x := Float radix2 (2 ^ 60 + 2 ^ 36 + 1) 0 in
  same_bits (convert F32 (round_to F64 x)) (whole F32 (2 ^ 60)) /\
  same_bits (round_to F32 x) (whole F32 (2 ^ 60 + 2 ^ 37)).
Proof. exact FloatsExamples.two_roundings_are_not_one. Qed.

(** A difference that is no fp32 number loses the fine-tune: 2^-30 from a base of 1 comes back as 0. [TV-2, MG-3] *)
Theorem an_inexact_difference_loses_the_finetune :
  let base := whole F32 1 in let finetuned := dyadic_number F32 1 (-30) in
  same_bits (add32 base (subtract32 finetuned base)) (whole F32 0) /\ sign_of finetuned = Some Gt.
Proof. exact FloatsExamples.an_inexact_difference_loses_the_finetune. Qed.

(** To average two, then the result with a third, is not associative, though nothing here is rounded. [ME-1, EX-4] *)
Theorem averaging_is_not_associative :
  let x := whole F32 0 in let y := whole F32 4 in
  same_bits (average (average x x) y) (whole F32 2) /\ same_bits (average x (average x y)) (whole F32 1).
Proof. exact FloatsExamples.averaging_is_not_associative. Qed.
