(** Dots of fp32 vectors in the fixed tree [DT-1 to DT-4], as real numbers with named roundings and on bits. *)

From Coq Require Import Reals List.
From Flocq Require Import Core.Core IEEE754.BinarySingleNaN IEEE754.Binary.
From MergeAlgebra.Definitions Require Import Bits Rounding Floats FloatsCode FixedTree.
Import ListNotations.
Open Scope R_scope.

(** Two vectors, element by element: the pairs that are multiplied. *)
Definition product64 (p : R * R) : R := RN64 (fst p * snd p).
Definition add_R64 (x y : R) : R := RN64 (x + y).
Definition dot64 (pairs : list (R * R)) : R := tree_sum add_R64 0 (map product64 pairs).

(** The same on bits. *)
Definition positive_zero : number F64 := B754_zero _ _ false.
Definition machine_product (p : number F32 * number F32) : number F64 :=
  multiply64 (widen (fst p)) (widen (snd p)).
Definition machine_dot (pairs : list (number F32 * number F32)) : number F64 :=
  tree_sum add64 positive_zero (map machine_product pairs).

Definition finite_pair (p : number F32 * number F32) : Prop := finite (fst p) = true /\ finite (snd p) = true.
Definition pair_of_values (p : number F32 * number F32) : R * R := (Bits.value (fst p), Bits.value (snd p)).
Definition swapped {A} (p : A * A) : A * A := (snd p, fst p).
