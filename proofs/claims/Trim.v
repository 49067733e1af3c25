(** What is claimed of trim. A group is the list [xs] of its elements in canonical order, [m] how many are to be kept; the words are those of
    definitions/Trim.v. An element is kept when it is not 0 in the result. *)

From Coq Require Import ZArith List Permutation.
From MergeAlgebra.Definitions Require Import Trim.
From MergeAlgebra.Lemmas Require TrimCount TrimLaws TrimProof.
Import ListNotations.
Open Scope Z_scope.

(** ** m and t *)

(** For a density above 0 and at most 1, m lies between 1 and d. [TI-3] *)
Theorem m_is_between_1_and_d : forall num den d, 0 < num <= den -> 1 <= d -> 1 <= kept_count num den d <= d.
Proof. exact TrimLaws.kept_count_range. Qed.

(** From 1 on, m is the greatest integer that is not above density times d. [TI-3] *)
Theorem m_is_the_floor : forall num den d k, 0 < den -> 1 <= k ->
  (k <= kept_count num den d <-> k = 1 \/ k * den <= num * d).
Proof. exact TrimLaws.kept_count_floor. Qed.

(** A number is the m-th largest magnitude exactly when fewer than m magnitudes are above it and at least m are not below it. [TI-3] *)
Theorem threshold_by_counting : forall m xs t, 1 <= m <= size xs ->
  (t = threshold m xs <-> count (above t) xs < m <= count (at_least t) xs).
Proof. exact TrimCount.threshold_unique. Qed.

(** If the m-th largest magnitude lies in a bin, it is found among the elements of that bin, by its rank there. [TI-3] *)
Theorem threshold_in_a_bin : forall low high m xs, low <= high ->
  count (above high) xs < m <= count (at_least low) xs ->
  threshold m xs = threshold (m - count (above high) xs) (filter (in_bin low high) xs).
Proof. exact TrimCount.threshold_in_bin. Qed.

(** ** Which elements are kept *)

(** Trim keeps the number of elements, and each element as it is or drops it to 0. [TI-4, TI-5] *)
Theorem kept_or_zero : forall rule m xs, 1 <= m ->
  length (trim rule m xs) = length xs /\
  forall i, nth i (trim rule m xs) 0 = nth i xs 0 \/ nth i (trim rule m xs) 0 = 0.
Proof. exact TrimLaws.trim_shape. Qed.

(** An element is kept exactly when it is not zero and fewer than m go before it: larger ones and, at the boundary lowest_index, equal ones of lower index. [TI-4, TI-5] *)
Theorem kept_by_rank : forall rule m xs i, 1 <= m -> (i < length xs)%nat ->
  (nth i (trim rule m xs) 0 <> 0 <-> nth i xs 0 <> 0 /\ rank rule xs i < m).
Proof. exact TrimLaws.kept_iff. Qed.

(** No dropped element has a larger magnitude than a kept one. [TI-4, TI-5] *)
Theorem kept_are_the_largest : forall rule m xs i j, 1 <= m -> (i < length xs)%nat -> (j < length xs)%nat ->
  nth i (trim rule m xs) 0 <> 0 -> nth j (trim rule m xs) 0 = 0 -> Z.abs (nth j xs 0) <= Z.abs (nth i xs 0).
Proof. exact TrimLaws.kept_are_largest. Qed.

(** At the boundary keep_all, of elements with one magnitude all are kept or none. [TI-4] *)
Theorem keep_all_keeps_all_ties : forall m xs i j, 1 <= m -> (i < length xs)%nat -> (j < length xs)%nat ->
  Z.abs (nth i xs 0) = Z.abs (nth j xs 0) ->
  nth j (trim KeepAll m xs) 0 <> 0 -> nth i (trim KeepAll m xs) 0 <> 0.
Proof. exact TrimLaws.all_ties_are_kept. Qed.

(** At the boundary lowest_index, of elements with one magnitude the first ones are kept. [TI-5] *)
Theorem lowest_index_keeps_first_ties : forall m xs i j, 1 <= m -> (i < j < length xs)%nat ->
  Z.abs (nth i xs 0) = Z.abs (nth j xs 0) ->
  nth j (trim LowestIndex m xs) 0 <> 0 -> nth i (trim LowestIndex m xs) 0 <> 0.
Proof. exact TrimLaws.first_ties_are_kept. Qed.

(** What the boundary lowest_index keeps, keep_all keeps too. [TI-4, TI-5] *)
Theorem lowest_index_within_keep_all : forall m xs i, 1 <= m ->
  nth i (trim LowestIndex m xs) 0 <> 0 -> nth i (trim KeepAll m xs) 0 <> 0.
Proof. exact TrimLaws.lowest_index_within_keep_all. Qed.

(** ** How many are kept *)

(** The boundary keep_all keeps at least m elements, or all that are not zero. [TI-4] *)
Theorem keep_all_keeps_enough : forall m xs, 1 <= m ->
  Z.min m (count nonzero xs) <= count nonzero (trim KeepAll m xs).
Proof. exact TrimLaws.keep_all_keeps. Qed.

(** The boundary lowest_index keeps exactly m elements, or all that are not zero. [TI-5] *)
Theorem lowest_index_keeps_exactly : forall m xs, 1 <= m ->
  count nonzero (trim LowestIndex m xs) = Z.min m (count nonzero xs).
Proof. exact TrimLaws.lowest_index_keeps. Qed.

(** Where keep_all keeps no more than m, the two boundaries keep the same. [TI-4, TI-5] *)
Theorem boundaries_differ_by_ties_alone : forall m xs, 1 <= m ->
  count nonzero (trim KeepAll m xs) <= m -> trim LowestIndex m xs = trim KeepAll m xs.
Proof. exact TrimProof.boundaries_agree. Qed.

(** Where no more than m elements are not zero, nothing is dropped. [TI-4, TI-5] *)
Theorem few_are_all_kept : forall rule m xs, 1 <= m -> count nonzero xs <= m -> trim rule m xs = xs.
Proof. exact TrimLaws.few_nonzeros. Qed.

(** A density of 1 drops nothing. [TI-3] *)
Theorem density_1_keeps_everything : forall rule den xs, 0 < den -> trim_group rule den den xs = xs.
Proof. exact TrimLaws.density_one. Qed.

(** A group of no elements keeps nothing. [TI-2] *)
Theorem empty_group : forall rule num den, trim_group rule num den [] = [].
Proof. exact TrimLaws.trim_empty. Qed.

(** ** Laws *)

(** Trimming what is trimmed changes nothing. [TI-4, TI-5] *)
Theorem trim_is_idempotent : forall rule m xs, 1 <= m -> trim rule m (trim rule m xs) = trim rule m xs.
Proof. exact TrimLaws.trim_idempotent. Qed.

(** Scaling a group by a number that is not zero, negative ones included, scales what is kept and changes nothing else. [TI-4, TI-5] *)
Theorem trim_of_scaled : forall rule m k xs, 1 <= m -> k <> 0 -> trim rule m (scale k xs) = scale k (trim rule m xs).
Proof. exact TrimLaws.trim_scale. Qed.

(** At the boundary keep_all, the order of coordinates does not matter. [TI-4] *)
Theorem trim_of_reordered : forall m order xs, 1 <= m -> Permutation order (seq 0 (length xs)) ->
  trim KeepAll m (reorder order xs) = reorder order (trim KeepAll m xs).
Proof. exact TrimLaws.trim_keep_all_reorder. Qed.

(** At the boundary lowest_index, the order of coordinates decides which of the ties are kept, but not how many of which magnitude. [TI-5] *)
Theorem lowest_index_keeps_magnitudes : forall m xs ys s, 1 <= m -> 0 <= s -> Permutation xs ys ->
  count (above s) (trim LowestIndex m xs) = count (above s) (trim LowestIndex m ys).
Proof. exact TrimLaws.kept_magnitudes. Qed.

(** ** What the code does *)

(** A threshold that passes the proof by counting, wherever it came from, keeps exactly what trim keeps. [TI-3, TI-4, TI-5] *)
Theorem proved_thresholds_are_right : forall rule m t cut xs, 1 <= m -> 1 <= t ->
  holds t (is_cut cut) rule m (count nonzero (keep t cut xs)) (count (above t) xs) = true ->
  keep t cut xs = trim rule m xs.
Proof. exact TrimProof.holds_sound. Qed.

(** The right threshold passes, uncut or cut at the right position: t, or the least magnitude above 0 where t is 0. [TI-3, TI-4, TI-5] *)
Theorem right_thresholds_are_proved : forall rule m xs, 1 <= m ->
  let t := Z.max 1 (threshold m xs) in
  exists cut, holds t (is_cut cut) rule m (count nonzero (keep t cut xs)) (count (above t) xs) = true.
Proof. exact TrimProof.holds_complete. Qed.

(** Where all elements are to be kept, the least threshold keeps what trim keeps, without a count. [TI-3] *)
Theorem full_density_needs_no_count : forall rule m xs, 1 <= m -> size xs <= m -> keep 1 None xs = trim rule m xs.
Proof. exact TrimProof.everything_kept. Qed.

(** Counts of blocks add up to the count of the whole, whatever is counted. [TI-2, TI-3] *)
Theorem counts_add_up : forall p xs ys, count p (xs ++ ys) = count p xs + count p ys.
Proof. exact TrimCount.count_app. Qed.

(** A group trimmed block by block, with a threshold and a position that counts on from block to block, is the group trimmed at once. [TI-2, TI-4, TI-5] *)
Theorem trim_block_by_block : forall t cut xs ys,
  keep t cut (xs ++ ys) = keep t cut xs ++ keep t (option_map (fun position => position - size xs) cut) ys.
Proof. exact TrimProof.keep_app. Qed.
