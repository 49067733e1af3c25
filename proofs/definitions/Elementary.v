(** exp, log and tanh of arrays: what is taken of the library's routine, and the certificate [EF-1 to EF-3].

    The real functions are those of Coq's library: exp, ln and tanh. What is said of infinities and NaN, and of the log of
    zero and of what is below it, is outside of the model. *)

From Coq Require Import ZArith Reals.
From Flocq Require Import Core.Core IEEE754.BinarySingleNaN IEEE754.Binary IEEE754.Bits.
From MergeAlgebra.Definitions Require Import Bits Rounding Floats FloatsCode.
Open Scope R_scope.

(** [r] is RN32(f) on bits: +0 where it is zero, an infinity where it is beyond fp32 [EF-1]. *)
Definition rounds_to (f : R) (r : number F32) : Prop :=
  (Rabs (RN32 f) < 2^128 -> finite r = true /\ Bits.value r = RN32 f /\ (RN32 f = 0 -> sign r = false)) /\
  (2^128 <= Rabs (RN32 f) -> r = B754_infinity _ _ (Rlt_bool f 0)).

(** [x] lies between [a] and [b], whichever is less. *)
Definition within (a b x : R) : Prop := a <= x <= b \/ b <= x <= a.

(** [y] is what is taken of the library's routine where the real function is [f] [EF-2]. *)
Definition answers (f : R) (y : number F64) : Prop :=
  (2^(-160) <= Rabs f <= 2^160 -> finite y = true /\ Rabs (Bits.value y - f) <= 2^(-49) * Rabs f) /\
  (Rabs f < 2^(-160) -> finite y = true /\ Rabs (Bits.value y) <= 2^(-151)) /\
  (2^160 < f -> y = B754_infinity _ _ false \/ finite y = true /\ 2^129 <= Bits.value y).

(** * The certificate: `algebra/elementary.py: settled` [EF-3] *)

(** 1 - 2^-48 and 1 + 2^-48, as fp64 bits. *)
Definition below_one : number F64 := of_bits F64 0x3FEFFFFFFFFFFFE0.
Definition above_one : number F64 := of_bits F64 0x3FF0000000000010.

(** RN32 of the two ends: `low` and `high`. *)
Definition low (y : number F64) : number F32 := convert F32 (multiply64 y below_one).
Definition high (y : number F64) : number F32 := convert F32 (multiply64 y above_one).

(** `low != high`, the other way round; zeros of both signs are equal. *)
Definition certificate (y : number F64) : bool :=
  match b32_compare (low y) (high y) with Some Eq => true | _ => false end.

(** `low + 0.0`, what is given where the certificate holds. *)
Definition given (y : number F64) : number F32 := b32_plus mode_NE (low y) (B754_zero _ _ false).
