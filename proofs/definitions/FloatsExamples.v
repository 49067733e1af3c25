(** Words for counterexamples: IEEE operations on bits, which compute. *)

From Coq Require Import ZArith List.
From Flocq Require Import Core.Core IEEE754.BinarySingleNaN IEEE754.Binary IEEE754.Bits.
From MergeAlgebra.Definitions Require Import Bits Rounding FloatsCode.
Import ListNotations.
Open Scope Z_scope.

(** m * 2^e and whole numbers, in a dtype that has them. *)
Definition dyadic_number (d : dtype) (m e : Z) : number d := round_to d (Float radix2 m e).
Definition whole (d : dtype) (n : Z) : number d := dyadic_number d n 0.
Definition wholes (ns : list Z) : list (number F32) := map (whole F32) ns.

Definition add32 : number F32 -> number F32 -> number F32 := b32_plus mode_NE.
Definition subtract32 : number F32 -> number F32 -> number F32 := b32_minus mode_NE.

(** Sums from left to right, of fp32 numbers: in fp32, and in fp64. *)
Definition left_to_right_32 (xs : list (number F32)) : number F32 := fold_left add32 xs (whole F32 0).
Definition left_to_right_64 (xs : list (number F32)) : number F64 := machine_running_sum (map widen xs).

(** The sign of a number, as TIES-Merging elects it. *)
Definition sign_of {d} (x : number d) : option comparison := Bcompare _ _ x (B754_zero _ _ false).

Definition sum_of_wholes (ns : list Z) : Z := fold_right Z.add 0 ns.

(** The mean of two, as an operator. *)
Definition average (x y : number F32) : number F32 := b32_div mode_NE (add32 x y) (whole F32 2).

(** Bits, so the signs of zeros too. *)
Definition same_bits {d} (x y : number d) : Prop := to_bits d x = to_bits d y.
