(** What is claimed of sums in the fixed tree. Nothing is asked of the addition, unless it says so. *)

From Coq Require Import List Arith Permutation.
From MergeAlgebra.Definitions Require Import Floats FixedTree.
From MergeAlgebra.Lemmas Require FixedTrees FixedTreeLeaves.
Import ListNotations.
Open Scope nat_scope.

(** The sum is that of one tree, whatever the addition: its shape depends on the number of elements alone. [DT-2, DT-3] *)
Theorem the_tree_is_fixed : forall A (add : A -> A -> A) zero xs,
  tree_sum add zero xs = evaluated add (fixed_tree zero xs).
Proof. exact @FixedTreeLeaves.sum_is_of_fixed_tree. Qed.

(** The leaves of that tree are the elements, each once, and the zeros that fill up the last chunk. [DT-2, DT-3] *)
Theorem each_element_is_added_once : forall A (zero : A) xs, xs <> [] ->
  Permutation (leaves (fixed_tree zero xs)) (xs ++ filling zero xs).
Proof. exact @FixedTreeLeaves.leaves_of_fixed_tree. Qed.

(** Halves are (a + c) + (b + d), pairs ((a + b) + (c + d)) + e. [DT-2, DT-3] *)
Theorem the_shape : forall A (zero a b c d e : A),
  folded_by_halves Node (Leaf zero) 2 [Leaf a; Leaf b; Leaf c; Leaf d] =
    Node (Node (Leaf a) (Leaf c)) (Node (Leaf b) (Leaf d)) /\
  folded_by_pairs Node (Leaf zero) [Leaf a; Leaf b; Leaf c; Leaf d; Leaf e] =
    Node (Node (Node (Leaf a) (Leaf b)) (Node (Leaf c) (Leaf d))) (Leaf e).
Proof. exact @FixedTreeLeaves.shape. Qed.

(** Adding adjacent pairs leaves one sum, after as many rounds as there are sums or earlier, and more rounds change
    nothing. [DT-3] *)
Theorem one_sum_is_left : forall A (add : A -> A -> A) zero sums rounds, sums <> [] -> length sums <= rounds ->
  paired_times add rounds sums = [folded_by_pairs add zero sums].
Proof. exact @FixedTrees.one_sum_is_left. Qed.

(** Wherever a vector is cut into blocks of whole chunks, the chunk sums of the blocks, put side by side, are those of
    the whole. [DT-2, DT-4] *)
Theorem chunk_sums_of_blocks : forall A (add : A -> A -> A) zero blocks xs, in_blocks blocks xs ->
  block_sums add zero blocks = chunk_sums add zero xs.
Proof. exact @FixedTrees.chunk_sums_by_blocks. Qed.

(** So the sum does not depend on the blocks. [DT-4] *)
Theorem sum_of_blocks : forall A (add : A -> A -> A) zero blocks xs, in_blocks blocks xs ->
  folded_by_pairs add zero (block_sums add zero blocks) = tree_sum add zero xs.
Proof. exact @FixedTrees.sum_by_blocks. Qed.

(** Nor on the order in which workers answer for their blocks. [DT-4] *)
Theorem workers_may_answer_in_any_order : forall A (add : A -> A -> A) zero blocks xs answers,
  in_blocks blocks xs -> Permutation answers (numbered (map (chunk_sums add zero) blocks)) ->
  folded_by_pairs add zero (concat (in_order answers)) = tree_sum add zero xs.
Proof. exact @FixedTrees.answers_in_any_order. Qed.

(** Zeros at the end of a vector change nothing, any number of them, where x + 0 is x: so neither do those that fill up
    the last chunk, nor whole chunks of them. [DT-2] *)
Theorem zeros_change_nothing : forall A (add : A -> A -> A) zero (good : A -> Prop),
  good zero -> (forall x y, good x -> good y -> good (add x y)) -> (forall x, good x -> add x zero = x) ->
  forall xs n, Forall good xs -> tree_sum add zero (xs ++ repeat zero n) = tree_sum add zero xs.
Proof. exact @FixedTrees.zeros_change_nothing. Qed.
