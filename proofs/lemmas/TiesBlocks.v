(** Many coordinates: each is merged by itself, in any order of contributions and in blocks as one likes. *)

From Coq Require Import ZArith List Lia Permutation.
From MergeAlgebra.Definitions Require Import Ties.
From MergeAlgebra.Lemmas Require Import TiesSums.
Import ListNotations.
Open Scope Z_scope.

Lemma combine_blocks_length a b n : length a = n -> length b = n -> length (combine_blocks a b) = n.
Proof.
  revert b n. induction a as [|x a IH]; intros [|y b] [|n] long long'; try discriminate; [reflexivity|].
  cbn in *. f_equal. apply IH; congruence.
Qed.

Lemma combine_blocks_nth a b n i : length a = n -> length b = n ->
  nth i (combine_blocks a b) empty = combine (nth i a empty) (nth i b empty).
Proof.
  revert b n i. induction a as [|x a IH]; intros [|y b] [|n] [|i] long long'; try discriminate; try reflexivity.
  cbn in *. apply (IH b n); congruence.
Qed.

Lemma lift_block_nth x i : nth i (lift_block x) empty = lift (nth i (fst x) 0, snd x).
Proof.
  unfold lift_block. change empty with ((fun v => lift (v, snd x)) 0) at 1. apply map_nth.
Qed.

Lemma aggregate_block_length n voters : covers n voters -> length (aggregate_block n voters) = n.
Proof.
  induction 1 as [|x voters long _ IH]; [apply repeat_length|].
  apply combine_blocks_length; [unfold lift_block; now rewrite map_length|assumption].
Qed.

Lemma aggregate_block_nth n voters i : covers n voters ->
  nth i (aggregate_block n voters) empty = aggregate_of (votes_at i voters).
Proof.
  induction 1 as [|x voters long all IH]; [apply nth_repeat|].
  cbn [aggregate_block fold_right votes_at map]. fold (aggregate_block n voters) (votes_at i voters).
  rewrite (combine_blocks_nth _ _ n), lift_block_nth, IH, aggregate_of_cons; [reflexivity| |].
  - unfold lift_block. now rewrite map_length.
  - now apply aggregate_block_length.
Qed.

Lemma merge_block_length n voters : covers n voters -> length (merge_block n voters) = n.
Proof. intros all. unfold merge_block. rewrite map_length. now apply aggregate_block_length. Qed.

Lemma merge_block_nth n voters i : covers n voters -> (i < n)%nat ->
  nth i (merge_block n voters) (0, 1) = ties_sums (votes_at i voters).
Proof.
  intros all there. unfold merge_block. change (0, 1) with (finalize empty).
  rewrite map_nth, (aggregate_block_nth n) by assumption. apply finalize_aggregate_of.
Qed.

Lemma merge_block_eq n voters ys : covers n voters -> length ys = n ->
  (forall i, (i < n)%nat -> ties_sums (votes_at i voters) = nth i ys (0, 1)) -> merge_block n voters = ys.
Proof.
  intros all long each. apply (nth_ext _ _ (0, 1) (0, 1)); rewrite merge_block_length by assumption; [easy|].
  intros i there. now rewrite merge_block_nth, each.
Qed.

Lemma merge_block_permutation n voters voters' : covers n voters ->
  Permutation voters voters' -> merge_block n voters = merge_block n voters'.
Proof.
  intros all perm. assert (all' : covers n voters') by (eapply Permutation_Forall; eassumption).
  apply merge_block_eq; [assumption|now apply merge_block_length|]. intros i there.
  rewrite merge_block_nth by assumption. apply ties_sums_permutation. now apply Permutation_map.
Qed.

(** Voters of a block and of the next, as voters of both. *)
Definition front (n : nat) (x : voter) : voter := (firstn n (fst x), snd x).
Definition back (n : nat) (x : voter) : voter := (skipn n (fst x), snd x).

Lemma votes_at_front n i voters : (i < n)%nat -> votes_at i (map (front n) voters) = votes_at i voters.
Proof.
  intros lt. unfold votes_at. rewrite map_map. apply map_ext. intros [vs c]. cbn. f_equal.
  clear - lt. revert n vs lt. induction i as [|i IH]; intros [|n] [|v vs] lt; cbn; try reflexivity; try lia.
  apply IH. lia.
Qed.

Lemma votes_at_back n i voters : votes_at i (map (back n) voters) = votes_at (n + i) voters.
Proof.
  unfold votes_at. rewrite map_map. apply map_ext. intros [vs c]. cbn. f_equal.
  revert vs. induction n as [|n IH]; intros vs; [reflexivity|]. destruct vs; cbn; [now destruct i|apply IH].
Qed.

Lemma merge_block_split n k voters : covers (n + k) voters ->
  merge_block (n + k) voters = merge_block n (map (front n) voters) ++ merge_block k (map (back n) voters).
Proof.
  intros all.
  assert (fronts : covers n (map (front n) voters)).
  { apply Forall_map. revert all. apply Forall_impl. intros x long. cbn. rewrite firstn_length. lia. }
  assert (backs : covers k (map (back n) voters)).
  { apply Forall_map. revert all. apply Forall_impl. intros x long. cbn. rewrite skipn_length. lia. }
  pose proof (merge_block_length _ _ fronts) as long. pose proof (merge_block_length _ _ backs) as long'.
  apply merge_block_eq; [assumption|rewrite app_length; lia|]. intros i there.
  destruct (Nat.lt_ge_cases i n) as [lt|ge].
  - rewrite app_nth1, merge_block_nth, votes_at_front by (assumption || lia). reflexivity.
  - rewrite app_nth2, long, merge_block_nth, votes_at_back by (assumption || lia). do 2 f_equal. lia.
Qed.
