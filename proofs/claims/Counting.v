(** What is claimed of the mean of models, NegMerge and RAM over exact numbers; the words are those of
    definitions/Counting.v. *)

From Coq Require Import ZArith List Permutation.
From MergeAlgebra.Definitions Require Import Ties Counting.
From MergeAlgebra.Lemmas Require CountingSums.
Import ListNotations.
Open Scope Z_scope.

(** S and W of the mean of models do not depend on the order of contributions. [TI-1, LI-1] *)
Theorem linear_in_any_order : forall votes votes', Permutation votes votes' -> linear_sums votes = linear_sums votes'.
Proof. exact CountingSums.linear_permutation. Qed.

(** Nor do those of NegMerge. [TI-1, NM-2] *)
Theorem negmerge_in_any_order : forall votes votes', Permutation votes votes' ->
  negmerge_sums votes = negmerge_sums votes'.
Proof. exact CountingSums.negmerge_permutation. Qed.

(** Nor do S and k of RAM. [TI-1, RA-2] *)
Theorem ram_in_any_order : forall votes votes', Permutation votes votes' -> ram_sums votes = ram_sums votes'.
Proof. exact CountingSums.ram_permutation. Qed.

(** Tallies are a commutative monoid. [EX-4] *)
Theorem tallies_are_a_monoid : (forall a b, combine a b = combine b a)
  /\ (forall a b c, combine a (combine b c) = combine (combine a b) c)
  /\ forall a, combine nothing a = a.
Proof. exact CountingSums.tallies_are_a_monoid. Qed.

(** Contributions tallied in any tree and any order finalize to what the clauses say: NegMerge finds one sign where as
    many votes have it as there are. [EX-4, LI-1, NM-2, RA-2] *)
Theorem tallies_by_any_tree : forall t votes, Permutation (leaves t) votes ->
  linear (evaluate t) = linear_sums votes
  /\ ram (evaluate t) = ram_sums votes
  /\ (weighed votes -> negmerge (evaluate t) = negmerge_sums votes).
Proof. exact CountingSums.by_any_tree. Qed.
