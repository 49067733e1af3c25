(** The mean of models, NegMerge and RAM at one coordinate: a sum, and what it is divided by [LI-1, NM-1, NM-2, RA-1,
    RA-2, EX-4].

    A contribution is a vote, as in Ties.v. One that lacks the tensor votes with 0 and a coefficient of 0: it has no
    weight. The coefficients of the others are positive. *)

From Coq Require Import ZArith List Bool.
From MergeAlgebra.Definitions Require Import Ties.
Import ListNotations.
Open Scope Z_scope.

(** * As the clauses have it *)

(** Where there is nothing to divide by, the quotient is to be 0, which 0 and 1 stand for. *)
Definition or_zero (sums : Z * Z) : Z * Z := if snd sums =? 0 then (0, 1) else sums.

(** S and W over those who hold the tensor [LI-1]. *)
Definition linear_sums (votes : list vote) : Z * Z := or_zero (mean_sums votes).

(** Those who hold the tensor. *)
Definition holders (votes : list vote) : list vote := filter (fun x => 0 <? coefficient x) votes.

Definition all_have (sign : Z) (votes : list vote) : bool := forallb (fun x => Z.sgn (value x) =? sign) votes.

(** -S and W over those who hold the tensor, where they all vote with one sign [NM-2]. *)
Definition negmerge_sums (votes : list vote) : Z * Z :=
  let held := holders votes in
  if all_have 1 held || all_have (-1) held then or_zero (- total_value held, total_coefficient held) else (0, 1).

(** The number 1 in units of 2^-149. *)
Definition one : Z := 2 ^ 149.

(** How many have changed the element: k [RA-2]. *)
Definition changes (votes : list vote) : Z :=
  Z.of_nat (length (filter (fun x => negb (value x =? 0)) votes)).

(** S and k [RA-2]. *)
Definition ram_sums (votes : list vote) : Z * Z := or_zero (total_value votes, one * changes votes).

(** * As it is computed: lift, combine, finalize [EX-4] *)

(** S, W, how many v are above 0, how many below, and how many hold the tensor. *)
Record tally : Set := Tally { S : Z; W : Z; up : Z; down : Z; held : Z }.

Definition nothing : tally := Tally 0 0 0 0 0.

Definition lift (x : vote) : tally :=
  Tally (value x) (coefficient x) (Z.b2z (0 <? value x)) (Z.b2z (value x <? 0)) (Z.b2z (0 <? coefficient x)).

Definition combine (a b : tally) : tally :=
  Tally (S a + S b) (W a + W b) (up a + up b) (down a + down b) (held a + held b).

Fixpoint evaluate (t : tree) : tally :=
  match t with
  | Leaf x => lift x
  | Node a b => combine (evaluate a) (evaluate b)
  end.

Definition linear (t : tally) : Z * Z := or_zero (S t, W t).

Definition negmerge (t : tally) : Z * Z :=
  if (up t =? held t) || (down t =? held t) then or_zero (- S t, W t) else (0, 1).

Definition ram (t : tally) : Z * Z := or_zero (S t, one * (up t + down t)).

(** Each vote has weight, or is that of one that lacks the tensor. *)
Definition weighed (votes : list vote) : Prop := Forall (fun x => 0 < coefficient x \/ x = (0, 0)) votes.
