(** What is claimed of TIES, the mean and task arithmetic over exact numbers. [votes] are the contributions at one coordinate, each its rounded v
    and its coefficient, as whole numbers of units of 2^-149; the words are those of definitions/Ties.v. *)

From Coq Require Import ZArith List Permutation QArith.
From MergeAlgebra.Definitions Require Import Ties.
From MergeAlgebra.Lemmas Require TiesSums TiesMean TiesBlocks TiesOperator.
Import ListNotations.
Open Scope Z_scope.

(** ** Aggregates *)

(** Combining aggregates is commutative. [EX-4] *)
Theorem combine_commutative : forall a b, combine a b = combine b a.
Proof. exact TiesSums.combine_comm. Qed.

(** Combining aggregates is associative. [EX-4] *)
Theorem combine_associative : forall a b c, combine a (combine b c) = combine (combine a b) c.
Proof. exact TiesSums.combine_assoc. Qed.

(** The aggregate of no contributions is the identity of combine, on both sides. [EX-4] *)
Theorem empty_is_identity : forall a, combine empty a = a /\ combine a empty = a.
Proof. exact TiesSums.combine_identity. Qed.

(** Aggregates are a homomorphic image of lists of contributions: lists are joined, aggregates combined. [EX-4] *)
Theorem aggregates_of_lists : aggregate_of [] = empty /\ (forall x, aggregate_of [x] = lift x) /\
  forall xs ys, aggregate_of (xs ++ ys) = combine (aggregate_of xs) (aggregate_of ys).
Proof. exact TiesSums.homomorphism. Qed.

(** Combining is not idempotent: only the aggregate that holds nothing stays the same when it is combined with itself. [EX-6] *)
Theorem combine_is_not_idempotent : forall a, combine a a = a <-> a = empty.
Proof. exact TiesSums.combine_twice. Qed.

(** A contribution that is counted twice changes the result: 1 and 3 give 2, but 1, 3 and 3 give 7/3. [EX-6] *)
Theorem counted_twice : (disjoint_mean [(1%Z, 1%Z); (3%Z, 1%Z)] == 2 /\
  disjoint_mean [(1%Z, 1%Z); (3%Z, 1%Z); (3%Z, 1%Z)] == 7 # 3)%Q.
Proof. exact TiesMean.counted_twice. Qed.

(** ** Any order, any tree *)

(** Finalizing the aggregate of all contributions gives S and W of TIES as the clauses define them. [TI-7, TI-8, EX-4] *)
Theorem finalize_is_ties : forall votes, finalize (aggregate_of votes) = ties_sums votes.
Proof. exact TiesSums.finalize_aggregate_of. Qed.

(** S and W of TIES do not depend on the order of contributions. [TI-1, TI-8] *)
Theorem ties_in_any_order : forall votes votes', Permutation votes votes' -> ties_sums votes = ties_sums votes'.
Proof. exact TiesSums.ties_sums_permutation. Qed.

(** S and W of the mean, and S of task arithmetic, do not depend on the order of contributions. [TI-1, ME-1, TA-1] *)
Theorem mean_in_any_order : forall votes votes', Permutation votes votes' ->
  mean_sums votes = mean_sums votes' /\ task_arithmetic votes = task_arithmetic votes'.
Proof. exact TiesSums.sums_permutation. Qed.

(** Contributions combined in any tree and any order finalize to S and W of TIES. [EX-4] *)
Theorem ties_by_any_tree : forall t votes, Permutation (leaves t) votes -> finalize (evaluate t) = ties_sums votes.
Proof. exact TiesSums.finalize_tree. Qed.

(** Contributions combined in any tree and any order have the sum of all v, which is S of the mean and of task arithmetic. [EX-4, ME-1, TA-1] *)
Theorem total_by_any_tree : forall t votes, Permutation (leaves t) votes ->
  total (evaluate t) = fst (mean_sums votes) /\ total (evaluate t) = task_arithmetic votes.
Proof. exact TiesSums.total_tree. Qed.

(** ** Retraction *)

(** Retracting an aggregate undoes combining with it. [EX-5] *)
Theorem retract_undoes_combine : forall a b, retract (combine a b) b = a.
Proof. exact TiesSums.retract_combine. Qed.

(** An aggregate without one of its contributions finalizes as if that contribution had never been in it. [EX-5] *)
Theorem retracted_never_was : forall all x rest, Permutation all (x :: rest) ->
  retract (aggregate_of all) (lift x) = aggregate_of rest /\
  finalize (retract (aggregate_of all) (lift x)) = ties_sums rest.
Proof. exact TiesSums.retract_one. Qed.

(** ** The result *)

(** Where gamma is not 0, W is above 0, and where it is 0 what stands in for W is: nothing is divided by zero. [TI-8] *)
Theorem no_division_by_zero : forall votes, weighted votes ->
  (gamma votes <> 0 -> 0 < total_coefficient (agreeing votes)) /\ 0 < snd (finalize (aggregate_of votes)).
Proof. exact TiesMean.no_division_by_zero. Qed.

(** The sign of an aggregate's sums, which is elected, is the sign of the exact sum of all v. [TI-7] *)
Theorem elected_exactly : forall votes, elect (aggregate_of votes) = Z.sgn (total_value votes).
Proof. exact TiesSums.elect_gamma. Qed.

(** The disjoint mean has the elected sign: it is above 0, 0 or below 0 as gamma is. [TI-7, TI-8] *)
Theorem disjoint_mean_has_elected_sign : forall votes, weighted votes ->
  (disjoint_mean votes ?= 0)%Q = (gamma votes ?= 0).
Proof. exact TiesMean.disjoint_mean_sign. Qed.

(** The disjoint mean lies between the least and the greatest v / c of the contributions that agree with gamma. [TI-8] *)
Theorem disjoint_mean_is_between : forall votes, weighted votes -> gamma votes <> 0 ->
  exists low high, In low (agreeing votes) /\ In high (agreeing votes) /\
  (ratio low <= disjoint_mean votes)%Q /\ (disjoint_mean votes <= ratio high)%Q.
Proof. exact TiesMean.disjoint_mean_bounds. Qed.

(** The mean lies between the least and the greatest v / c of all contributions. [ME-1] *)
Theorem mean_is_between : forall votes, weighted votes -> votes <> [] ->
  exists low high, In low votes /\ In high votes /\ (ratio low <= mean votes)%Q /\ (mean votes <= ratio high)%Q.
Proof. exact TiesMean.mean_bounds. Qed.

(** One contribution alone gives its v / c. [TI-8] *)
Theorem one_contribution : forall x, (disjoint_mean [x] == ratio x)%Q.
Proof. exact TiesMean.disjoint_mean_one. Qed.

(** Where all v have one sign, TIES is the mean. [TI-8, ME-1] *)
Theorem agreement_is_the_mean : forall sign votes, sign <> 0 -> votes <> [] ->
  Forall (fun x => Z.sgn (value x) = sign) votes -> disjoint_mean votes = mean votes.
Proof. exact TiesMean.one_sign. Qed.

(** A v of zero does not vote: its lift is the identity, and TIES is the same without it, whatever its coefficient. [TI-6, TI-8] *)
Theorem zero_does_not_vote : forall c votes, lift (0, c) = empty /\ ties_sums ((0, c) :: votes) = ties_sums votes.
Proof. exact TiesSums.zero_vote. Qed.

(** In the mean, a v of zero counts: its coefficient is part of W. [ME-1] *)
Theorem zero_counts_in_the_mean : forall c votes,
  mean_sums ((0, c) :: votes) = (total_value votes, c + total_coefficient votes).
Proof. exact TiesSums.mean_zero. Qed.

(** ** Scaling *)

(** Multiplying all v by a number, zero and negative ones included, multiplies the result by it. [TI-8] *)
Theorem result_of_scaled : forall k votes,
  (disjoint_mean (map (fun x => (k * value x, coefficient x)%Z) votes) == inject_Z k * disjoint_mean votes)%Q.
Proof. exact TiesMean.disjoint_mean_amplify. Qed.

(** Reversing the sign of all v reverses the sign of the result. [TI-7, TI-8] *)
Theorem result_of_negated : forall votes,
  (disjoint_mean (map (fun x => (- value x, coefficient x)%Z) votes) == - disjoint_mean votes)%Q.
Proof. exact TiesMean.disjoint_mean_negate. Qed.

(** Multiplying all coefficients by a positive number, and with them all v, does not change the result. [TI-6, TI-8] *)
Theorem result_of_scaled_coefficients : forall k votes, 0 < k ->
  (disjoint_mean (map (fun x => (k * value x, k * coefficient x)%Z) votes) == disjoint_mean votes)%Q.
Proof. exact TiesMean.ties_sums_rescale. Qed.

(** ** Many coordinates *)

(** Each coordinate of a block is merged from the v at that coordinate alone. [TI-8, MG-8] *)
Theorem each_coordinate_by_itself : forall n voters i, covers n voters -> (i < n)%nat ->
  nth i (merge_block n voters) (0, 1) = ties_sums (votes_at i voters).
Proof. exact TiesBlocks.merge_block_nth. Qed.

(** A block does not depend on the order of contributions. [TI-1, MG-8] *)
Theorem block_in_any_order : forall n voters voters', covers n voters -> Permutation voters voters' ->
  merge_block n voters = merge_block n voters'.
Proof. exact TiesBlocks.merge_block_permutation. Qed.

(** A block merged as two blocks is the same, wherever it is cut. [MG-8] *)
Theorem blocks_of_any_size : forall n k voters, covers (n + k) voters ->
  merge_block (n + k) voters =
  merge_block n (map (fun x => (firstn n (fst x), snd x)) voters) ++
  merge_block k (map (fun x => (skipn n (fst x), snd x)) voters).
Proof. exact TiesBlocks.merge_block_split. Qed.

(** ** TIES as an operator on real numbers, all coefficients 1 *)

(** As an operator on a list of numbers, TIES does not depend on their order. [TI-1, TI-8] *)
Theorem operator_in_any_order : forall xs ys, Permutation xs ys -> ties xs = ties ys.
Proof. exact TiesOperator.ties_permutation. Qed.

(** One number with a coefficient of 1 gives itself. [TI-8] *)
Theorem one_number_gives_itself : forall x, (ties [x] == x)%Q.
Proof. exact TiesOperator.ties_one. Qed.

(** Two at a time, TIES is not associative: of 5, 1 and -4, one bracketing gives -4, the other 5, and all at once give 3. [EX-4] *)
Theorem operator_is_not_associative :
  (ties [ties [5; 1]; -4] == -4 /\ ties [5; ties [1; -4]] == 5 /\ ties [5; 1; -4] == 3)%Q.
Proof. exact TiesOperator.not_associative. Qed.

(** TIES is not continuous: 1 and -1 give 0, but however little is added to the 1, the result is above 1. [TI-7, TI-8] *)
Theorem operator_is_not_continuous : forall eps, (0 < eps -> ties [1; -1] == 0 /\ 1 < ties [1 + eps; -1])%Q.
Proof. exact TiesOperator.not_continuous. Qed.
