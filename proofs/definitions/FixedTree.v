(** The sum of a vector in the fixed tree [DT-2 to DT-4], for any operation: nothing is asked of [add], which need be
    neither associative nor commutative. *)

From Coq Require Import List Arith.
From MergeAlgebra.Definitions Require Import Floats.
Import ListNotations.

(** 4,096 elements: 12 halvings leave one. *)
Definition halvings : nat := 12.
Definition chunk_size : nat := 2 ^ halvings.

(** How many chunks hold so many elements. *)
Definition chunks_of (elements : nat) : nat := (elements + (chunk_size - 1)) / chunk_size.

Section Sums.
  Context {A : Type} (add : A -> A -> A) (zero : A).

  (** Element by element, as far as both go. *)
  Fixpoint added (xs ys : list A) : list A :=
    match xs, ys with
    | x :: xs, y :: ys => add x y :: added xs ys
    | _, _ => []
    end.

  (** x[i] + x[i + w], for i below w. *)
  Definition halved (w : nat) (xs : list A) : list A := added (firstn w xs) (skipn w xs).

  (** 2^n elements, folded by halves: w = 2^(n - 1), ..., 2, 1 [DT-2]. *)
  Fixpoint folded_by_halves (n : nat) (xs : list A) : A :=
    match n with
    | 0 => hd zero xs
    | S n => folded_by_halves n (halved (2 ^ n) xs)
    end.

  (** Chunk i; beyond the end of the vector there are zeros [DT-2]. *)
  Definition chunk (xs : list A) (i : nat) : list A :=
    map (fun j => nth (i * chunk_size + j) xs zero) (seq 0 chunk_size).

  Definition chunk_sum (xs : list A) (i : nat) : A := folded_by_halves halvings (chunk xs i).
  Definition chunk_sums (xs : list A) : list A := map (chunk_sum xs) (seq 0 (chunks_of (length xs))).

  (** Adjacent pairs are added; an odd last one is carried [DT-3]. *)
  Fixpoint paired (xs : list A) : list A :=
    match xs with
    | x :: y :: rest => add x y :: paired rest
    | _ => xs
    end.

  Fixpoint paired_times (n : nat) (xs : list A) : list A :=
    match n with
    | 0 => xs
    | S n => paired_times n (paired xs)
    end.

  (** Until one is left: as many rounds as there are elements are enough, and more change nothing; zero of none. *)
  Definition folded_by_pairs (xs : list A) : A := hd zero (paired_times (length xs) xs).

  Definition tree_sum (xs : list A) : A := folded_by_pairs (chunk_sums xs).

  (** What a tree of elements sums to. *)
  Fixpoint evaluated (t : tree A) : A :=
    match t with
    | Leaf x => x
    | Node a b => add (evaluated a) (evaluated b)
    end.

  (** A vector in blocks, each but the last of whole chunks [DT-4]. *)
  Definition whole_chunks (block : list A) : Prop := exists n, length block = n * chunk_size.
  Definition in_blocks (blocks : list (list A)) (xs : list A) : Prop :=
    concat blocks = xs /\ Forall whole_chunks (removelast blocks).

  (** The chunk sums of each block by itself, put side by side. *)
  Definition block_sums (blocks : list (list A)) : list A := concat (map chunk_sums blocks).
End Sums.

(** The fixed tree itself: the same, of leaves and nodes. *)
Definition fixed_tree {A} (zero : A) (xs : list A) : tree A := tree_sum Node (Leaf zero) (map Leaf xs).

(** The zeros that fill up the last chunk. *)
Definition filling {A} (zero : A) (xs : list A) : list A :=
  repeat zero (chunks_of (length xs) * chunk_size - length xs).

(** What workers answer: of each block its sums, with the number of the block. *)
Definition numbered {A} (sums : list (list A)) : list (nat * list A) := combine (seq 0 (length sums)) sums.

(** The answers put in order, whichever came first. *)
Definition answer {A} (answers : list (nat * list A)) (block : nat) : list A :=
  match find (fun numbered => fst numbered =? block) answers with
  | Some (_, sums) => sums
  | None => []
  end.
Definition in_order {A} (answers : list (nat * list A)) : list (list A) :=
  map (answer answers) (seq 0 (length answers)).
