(** The named rounding points: RN64, RN32, and the narrow dtypes, of exact dyadics and of each other.

    [RN] is the rounding of real numbers that the clauses speak of, without an upper end. The functions below it
    compute on bits; where their result is finite it is RN of the exact one (claims/Reducer.v). *)

From Coq Require Import ZArith Reals.
From Flocq Require Import Core.Core IEEE754.BinarySingleNaN IEEE754.Binary IEEE754.Bits.
From MergeAlgebra.Definitions Require Import Bits.

Open Scope Z_scope.

Definition least_exponent (d : dtype) : Z := 3 - most_exponent d - precision d.

(** To nearest, ties to even, subnormals included. *)
Definition RN (d : dtype) (x : R) : R :=
  round radix2 (FLT_exp (least_exponent d) (precision d)) ZnearestE x.

(** A dyadic to the nearest number of a dtype: too large is an infinity, what underflows keeps its sign, 0 is +0. *)
Definition round_to (d : dtype) (x : dyadic) : number d :=
  binary_normalize _ _ (precision_is_positive d) (precision_is_below d) mode_NE (Fnum x) (Fexp x) false.

(** A number to the nearest one of another dtype; signs of zeros stay. *)
Definition convert {s} (d : dtype) (x : number s) : number d :=
  match x with
  | B754_zero _ _ sign => B754_zero _ _ sign
  | B754_infinity _ _ sign => B754_infinity _ _ sign
  | B754_nan _ _ sign _ _ => B754_nan _ _ sign 1 (least_payload_fits d)
  | B754_finite _ _ sign m e _ => round_to d (Float radix2 (cond_Zopp sign (Zpos m)) e)
  end.

(** RN64 of a quotient. *)
Definition divide (x y : number F64) : number F64 := b64_div mode_NE x y.

(** The last roundings of a merged number [MG-3]. *)
Definition narrow (d : dtype) (x : dyadic) : number d :=
  match d with
  | F64 => round_to F64 x
  | F32 => convert F32 (round_to F64 x)
  | BF16 => convert BF16 (convert F32 (round_to F64 x))
  | F16 => convert F16 (convert F32 (round_to F64 x))
  end.

(** The same for real numbers. *)
Definition narrow_R (d : dtype) (x : R) : R :=
  match d with
  | F64 => RN F64 x
  | F32 => RN F32 (RN F64 x)
  | BF16 => RN BF16 (RN F32 (RN F64 x))
  | F16 => RN F16 (RN F32 (RN F64 x))
  end.
