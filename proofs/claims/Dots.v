(** Dots of fp32 vectors in the fixed tree, in fp64. What is true of any addition stands in FixedTree.v, and that
    contraction is harmless in Floats.v. *)

From Coq Require Import ZArith Reals List.
From Flocq Require Import Core.Core.
From MergeAlgebra.Definitions Require Import Bits Rounding Floats FloatsCode FixedTree Dots.
From MergeAlgebra.Lemmas Require FloatsDots.
Import ListNotations.
Open Scope R_scope.

(** The fp64 product of two fp32 numbers on bits is the exact one, and none overflows. [DT-1] *)
Theorem products_on_bits_are_exact : forall x y : number F32, finite x = true -> finite y = true ->
  finite (multiply64 (widen x) (widen y)) = true /\
  Bits.value (multiply64 (widen x) (widen y)) = Bits.value x * Bits.value y.
Proof. exact FloatsDots.products_on_bits_are_exact. Qed.

(** A dot on bits, of up to 2^52 pairs of finite fp32 numbers, is the sum of rounded additions of exact products in the
    fixed tree: nothing overflows. [DT-1 to DT-3] *)
Theorem dots_on_bits_are_rounded_sums : forall pairs,
  Forall finite_pair pairs -> (Z.of_nat (length pairs) <= 2 ^ 52)%Z ->
  finite (machine_dot pairs) = true /\ Bits.value (machine_dot pairs) = dot64 (map pair_of_values pairs).
Proof. exact FloatsDots.dots_on_bits_are_rounded_sums. Qed.

(** In fp64, zeros at the end of a vector add nothing, any number of them. [DT-2] *)
Theorem zeros_add_nothing : forall xs n, Forall (has_format F64) xs ->
  tree_sum add_R64 0 (xs ++ repeat 0 n) = tree_sum add_R64 0 xs.
Proof. exact FloatsDots.zeros_add_nothing. Qed.

(** The dot of x and y is that of y and x. [DT-1 to DT-3] *)
Theorem dots_are_symmetric : forall pairs, dot64 (map swapped pairs) = dot64 pairs.
Proof. exact FloatsDots.dots_are_symmetric. Qed.
