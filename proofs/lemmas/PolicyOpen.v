(** The policy of an open workspace is what OperationSet.v says. *)

From Coq Require Import List Bool.
From MergeAlgebra.Definitions Require Import OperationSet Policy.
From MergeAlgebra.Lemmas Require Import Ascending Joins Visibility Policies PolicyRemoves.
Import ListNotations.

Section PolicyOpen.
  Context {w : workspace} (a : authority w) (open : maintainers a = None).
  Implicit Types s : state_over (entry a).
  Implicit Types e x : entry a.

  Lemma unsigned_iff : forall e o, by_nobody a e = true /\ action e = Data o <-> e = unsigned a o.
  Proof.
    intros [by_whom grant what] o. unfold by_nobody, unsigned. cbn. split.
    - intros [nobody ->]. now destruct by_whom, grant.
    - now intros [= -> -> ->].
  Qed.

  Lemma nobody_maintains : forall e, by_maintainer a e = false.
  Proof.
    intros e. unfold by_maintainer, maintains. rewrite open. now destruct (author a e).
  Qed.

  Lemma open_effective_iff : forall s e,
    effective a s e = true <-> exists o, e = unsigned a o /\ OperationSet.effective o = true.
  Proof.
    intros s e. unfold effective, admissible. rewrite open, nobody_maintains, andb_true_iff. split.
    - intros [nobody counts]. destruct (action e) as [o | | | |] eqn:what; try discriminate.
      exists o. split; [now apply unsigned_iff | exact counts].
    - intros (o & -> & counts). split; [reflexivity | exact counts].
  Qed.

  Lemma in_open_part : forall s o, In o (open_part a s) <-> In (unsigned a o) s.
  Proof.
    intros s o. unfold open_part. rewrite in_flat_map. split.
    - intros (e & found & hit). destruct (action e) as [p | | | |] eqn:what; try contradiction.
      destruct (by_nobody a e) eqn:nobody; [| contradiction]. destruct hit as [-> | []].
      now rewrite <- (proj1 (unsigned_iff e o)).
    - intros found. exists (unsigned a o). split; [exact found |]. cbn. now left.
  Qed.

  Lemma unsigned_removes : forall named said m n r,
    removes a (unsigned a (Remove named said)) (unsigned a (Add m n r)) = true <->
    In (entry_id a (unsigned a (Add m n r))) named.
  Proof.
    intros named said m n r. rewrite (removes_iff a (unsigned a (Remove named said)) _ named said eq_refl). tauto.
  Qed.

  Lemma open_visible : forall s, (forall o, entry_id a (unsigned a o) = operation_id o) ->
    visible a s = OperationSet.visible (open_part a s).
  Proof.
    intros s same_ids. apply ascending_canonical. intros c.
    rewrite Policies.in_contributions, Visibility.in_contributions. split.
    - intros (e & m & n & r & found & what & hit). exists m, n, r. split; [| exact hit].
      apply Policies.in_standing in found as (_ & found & counts & left).
      apply open_effective_iff in counts as (o & -> & counts). cbn in what. injection what as ->.
      apply Visibility.in_standing. exists m, n, r. repeat split.
      + now apply in_open_part.
      + cbn in counts. now apply equal_iff in counts.
      + intros named said there. rewrite <- same_ids. intros named_it.
        assert (removes a (unsigned a (Remove named said)) (unsigned a (Add m n r)) = false) as missed.
        { apply left; [now apply in_open_part |]. apply open_effective_iff. now exists (Remove named said). }
        apply not_true_iff_false in missed. apply missed. now apply unsigned_removes.
    - intros (m & n & r & found & hit).
      apply Visibility.in_standing in found as (m' & n' & r' & [= <- <- <-] & found & ours & left).
      exists (unsigned a (Add m n r)), m, n, r. repeat split; [| exact hit]. apply Policies.in_standing.
      split; [now exists m, n, r |]. repeat split.
      + now apply in_open_part.
      + apply open_effective_iff. exists (Add m n r). split; [reflexivity |]. cbn. now apply equal_iff.
      + intros x there sound. apply not_true_iff_false. intros acts.
        destruct (only_removes_remove a x _ acts) as (named & said & what).
        apply open_effective_iff in sound as (o & -> & _). cbn in what. injection what as ->.
        apply unsigned_removes in acts as named_it. rewrite same_ids in named_it.
        apply (left named said); [now apply in_open_part | exact named_it].
  Qed.
End PolicyOpen.
