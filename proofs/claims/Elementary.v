(** exp, log and tanh of arrays: where the certificate holds, the library's fp64 routine gave RN32 of the real function.
    What is taken of that routine is a hypothesis, [answers]. *)

From Coq Require Import ZArith Reals.
From Flocq Require Import Core.Core IEEE754.BinarySingleNaN IEEE754.Binary.
From MergeAlgebra.Definitions Require Import Bits Rounding Floats FloatsCode Elementary.
From MergeAlgebra.Lemmas Require ElementaryCertificate.
Open Scope R_scope.

(** The factors of the certificate are 1 - 2^-48 and 1 + 2^-48. [EF-3] *)
Theorem factors_are_as_said : Bits.value below_one = 1 - 2^(-48) /\ Bits.value above_one = 1 + 2^(-48).
Proof. exact ElementaryCertificate.factors_are_as_said. Qed.

(** Where the certificate holds, what is given is RN32 of the real number that the routine was asked for, subnormal,
    zero or too large: whatever that number is, as long as it is not hugely negative. [EF-1, EF-2, EF-3] *)
Theorem certificate_is_sound : forall f y, - 2^160 <= f -> answers f y -> certificate y = true -> rounds_to f (given y).
Proof. exact ElementaryCertificate.certificate_is_sound. Qed.

(** So exp of an fp64 number is RN32 of its real exponential. [EF-1, EF-2, EF-3] *)
Theorem exp_is_rounded : forall x y : number F64,
  answers (exp (Bits.value x)) y -> certificate y = true -> rounds_to (exp (Bits.value x)) (given y).
Proof. exact ElementaryCertificate.exp_is_rounded. Qed.

(** And tanh of one, of its real hyperbolic tangent. [EF-1, EF-2, EF-3] *)
Theorem tanh_is_rounded : forall x y : number F64,
  answers (tanh (Bits.value x)) y -> certificate y = true -> rounds_to (tanh (Bits.value x)) (given y).
Proof. exact ElementaryCertificate.tanh_is_rounded. Qed.

(** And log of one above zero, of its real logarithm. [EF-1, EF-2, EF-3] *)
Theorem log_is_rounded : forall x y : number F64, 0 < Bits.value x ->
  answers (ln (Bits.value x)) y -> certificate y = true -> rounds_to (ln (Bits.value x)) (given y).
Proof. exact ElementaryCertificate.log_is_rounded. Qed.

(** Only one fp32 number, to the bit, is RN32 of a real number: so the libraries whose answers are certified and the
    integers give the same bits. [EF-1, EF-2] *)
Theorem one_number : forall f r s, rounds_to f r -> rounds_to f s -> r = s.
Proof. exact ElementaryCertificate.one_number. Qed.

(** What is tiny or huge is certified, so integers are asked only for what lies between 2^-160 and 2^160. [EF-2, EF-3] *)
Theorem tiny_and_huge_are_certified : forall f y,
  answers f y -> Rabs f < 2^(-160) \/ 2^160 < f -> certificate y = true.
Proof. exact ElementaryCertificate.tiny_and_huge_pass. Qed.

(** Where the functions are 0 or 1, at exp 0, log 1 and tanh 0, the certificate holds: integers would not end there.
    [EF-3] *)
Theorem rational_results_are_certified : forall y,
  answers (exp 0) y \/ answers (ln 1) y \/ answers (tanh 0) y -> certificate y = true.
Proof. exact ElementaryCertificate.rational_results_are_certified. Qed.

(** Where both ends of an enclosure round to one fp32 number, so does what is enclosed. [EF-3] *)
Theorem enclosures_are_enough : forall f a b r, a <= f <= b -> rounds_to a r -> rounds_to b r -> rounds_to f r.
Proof. exact ElementaryCertificate.enclosures_are_enough. Qed.

(** What is asked of a routine can be met: RN64 of the real number meets it, where that is not too large for fp64, and +inf
    beyond. [EF-2] *)
Theorem answers_can_be_met : forall f y,
  (Rabs (RN64 f) < 2^1024 -> finite y = true /\ Bits.value y = RN64 f) ->
  (2^1024 <= Rabs (RN64 f) -> y = B754_infinity _ _ false) -> answers f y.
Proof. exact ElementaryCertificate.answers_can_be_met. Qed.
