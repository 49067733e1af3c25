(** The bits of a float, and the number that they stand for.

    A dtype is an IEEE interchange format. [number d] is Flocq's binary float of that format, so zeros keep their
    signs and NaN their payloads. The exact value of a finite number is a dyadic m * 2^e. *)

From Coq Require Import ZArith Reals Bool.
From Flocq Require Import Core.Core IEEE754.BinarySingleNaN IEEE754.Binary IEEE754.Bits.

Open Scope Z_scope.

(** The float dtypes [EN-12]. *)
Inductive dtype := F64 | F32 | BF16 | F16.

Definition fraction_bits (d : dtype) : Z :=
  match d with F64 => 52 | F32 => 23 | BF16 => 7 | F16 => 10 end.

Definition exponent_bits (d : dtype) : Z :=
  match d with F64 => 11 | F32 => 8 | BF16 => 8 | F16 => 5 end.

Definition width (d : dtype) : Z := fraction_bits d + exponent_bits d + 1.
Definition precision (d : dtype) : Z := fraction_bits d + 1.
Definition most_exponent (d : dtype) : Z := 2 ^ (exponent_bits d - 1).

Definition dtype_eqb (a b : dtype) : bool :=
  match a, b with
  | F64, F64 | F32, F32 | BF16, BF16 | F16, F16 => true
  | _, _ => false
  end.

Definition number (d : dtype) : Type := binary_float (precision d) (most_exponent d).

Fact fraction_is_positive d : 0 < fraction_bits d. Proof. now destruct d. Qed.
Fact exponent_is_positive d : 0 < exponent_bits d. Proof. now destruct d. Qed.
Fact precision_fits d : precision d < most_exponent d. Proof. now destruct d. Qed.
Fact least_payload_fits d : nan_pl (precision d) 1 = true. Proof. now destruct d. Qed.

#[global] Instance precision_is_positive d : Prec_gt_0 (precision d). Proof. now destruct d. Qed.
#[global] Instance precision_is_below d : Prec_lt_emax (precision d) (most_exponent d). Proof. now destruct d. Qed.

Definition of_bits (d : dtype) (bits : Z) : number d :=
  binary_float_of_bits (fraction_bits d) (exponent_bits d)
    (fraction_is_positive d) (exponent_is_positive d) (precision_fits d) bits.

Definition to_bits (d : dtype) (x : number d) : Z :=
  bits_of_binary_float (fraction_bits d) (exponent_bits d) x.

Definition are_bits (d : dtype) (bits : Z) : Prop := 0 <= bits < 2 ^ width d.

Definition finite {d} (x : number d) : bool := is_finite _ _ x.

(** The real number that finite bits stand for; 0 for the others. *)
Definition value {d} (x : number d) : R := B2R _ _ x.

Definition sign {d} (x : number d) : bool := Bsign _ _ x.

(** A dyadic: Fnum * 2^Fexp. *)
Definition dyadic := float radix2.

Definition exact {d} (x : number d) : option dyadic :=
  match x with
  | B754_zero _ _ _ => Some (Float radix2 0 0)
  | B754_finite _ _ s m e _ => Some (Float radix2 (cond_Zopp s (Zpos m)) e)
  | _ => None
  end.

(** The grid of fp32: every finite fp32 number is a whole multiple of 2^-149. *)
Definition grid : Z := -149.

(** The numerator on that grid, which is how the exact model (Ties.v) has its numbers. *)
Definition numerator (x : number F32) : option Z :=
  match exact x with
  | Some f => Some (Z.shiftl (Fnum f) (Fexp f - grid))
  | None => None
  end.

Definition of_numerator (n : Z) : dyadic := Float radix2 n grid.

(** The real number of a numerator. *)
Definition real (n : Z) : R := F2R (of_numerator n).
