(** Which keys count for a model root. *)

From Coq Require Import List Bool.
From MergeAlgebra.Definitions Require Import OperationSet Policy.
From MergeAlgebra.Lemmas Require Import Ascending Joins Policies PolicyRulings.
Import ListNotations.

Section PolicyWitnesses.
  Context {w : workspace} (a : authority w).
  Implicit Types s t : state_over (entry a).
  Implicit Types e x : entry a.

  Lemma two_roots_count_for_neither : forall s k merge root other, root <> other ->
    key_attests a s k merge root -> key_attests a s k merge other ->
    forall any, ~ counts_for a s k merge any.
  Proof.
    intros s k merge root other differ said said' any [_ alone]. apply differ.
    now rewrite (alone root said), (alone other said').
  Qed.

  Lemma key_attests_follows : forall s t k merge root,
    (forall e, effective a s e = effective a t e) ->
    (forall e, author a e = Some k -> In e s -> In e t) ->
    key_attests a s k merge root -> key_attests a t k merge root.
  Proof.
    intros s t k merge root counts more (e & found & sound & own & said). exists e.
    rewrite <- counts. repeat split; try assumption. now apply more.
  Qed.

  Lemma counts_for_follows : forall s t k merge root,
    (forall e, effective a s e = effective a t e) -> (forall e, author a e = Some k -> In e s <-> In e t) ->
    counts_for a s k merge root <-> counts_for a t k merge root.
  Proof.
    intros s t k merge root counts agree.
    assert (forall r, key_attests a s k merge r <-> key_attests a t k merge r) as both.
    { intros r. split; apply key_attests_follows; try (intros e; now rewrite counts);
        intros e own; now apply agree. }
    unfold counts_for. rewrite both.
    split; intros [said alone]; (split; [exact said |]); intros r found; now apply alone, both.
  Qed.

  Lemma equivocates_iff : forall s k merge root,
    equivocates a s k merge root = true <-> exists other, other <> root /\ key_attests a s k merge other.
  Proof.
    intros s k merge root. unfold equivocates. rewrite existsb_exists. split.
    - intros (e & found & hit). rewrite !andb_true_iff in hit. destruct hit as [[sound own] another].
      unfold attests_another in another. destruct (action e) as [[| | m r said] | | | |] eqn:what; try discriminate.
      apply andb_true_iff in another as [of_merge differs]. apply negb_true_iff in differs.
      exists r. split.
      + intros ->. assert (equal root root = true) by now apply equal_iff. congruence.
      + exists e. repeat split; try assumption.
        * unfold by_key in own. destruct (author a e) as [l |]; [| discriminate]. apply equal_iff in own. congruence.
        * unfold attests. rewrite what, of_merge. now apply equal_iff.
    - intros (other & differs & e & found & sound & own & said). exists e. split; [exact found |].
      unfold by_key, attests_another. unfold attests in said. rewrite sound, own.
      destruct (action e) as [[| | m r note] | | | |]; try discriminate.
      apply andb_true_iff in said as [of_merge hit]. apply equal_iff in hit as ->. rewrite of_merge.
      assert (equal other root = false) as -> by (apply not_true_iff_false; now rewrite equal_iff).
      assert (equal k k = true) as -> by now apply equal_iff. reflexivity.
  Qed.

  Lemma witnesses_are_those_that_count : forall s k merge root,
    In k (witnesses a s merge root) <-> counts_for a s k merge root.
  Proof.
    intros s k merge root. unfold witnesses. rewrite in_ascending, in_flat_map. unfold counts_for. split.
    - intros (e & found & hit). unfold witness in hit. destruct (author a e) as [l |] eqn:own; [| contradiction].
      destruct (effective a s e && attests a e merge root && negb (equivocates a s l merge root)) eqn:both;
        [| contradiction].
      destruct hit as [-> | []]. rewrite !andb_true_iff, negb_true_iff in both. destruct both as [[sound said] alone].
      split; [exists e; now repeat split |]. intros other said'.
      destruct (equal_decides other root) as [same_root | differs]; [exact same_root |].
      assert (equivocates a s k merge root = true); [| congruence]. apply equivocates_iff. now exists other.
    - intros [(e & found & sound & own & said) alone]. exists e. split; [exact found |].
      unfold witness. rewrite own, sound, said.
      assert (equivocates a s k merge root = false) as ->; [| now left].
      apply not_true_iff_false. rewrite equivocates_iff. intros (other & differs & said'). now apply differs, alone.
  Qed.

  Lemma same_set_same_witnesses : forall s t k merge root, same s t ->
    counts_for a s k merge root <-> counts_for a t k merge root.
  Proof.
    intros s t k merge root agree.
    apply counts_for_follows; [now apply same_set_same_effective | intros e _; apply agree].
  Qed.

  Lemma others_cannot_take_a_witness_away : forall s x k merge root,
    by_maintainer a x = false -> author a x <> Some k ->
    counts_for a (join s [x]) k merge root <-> counts_for a s k merge root.
  Proof.
    intros s x k merge root writer other. apply counts_for_follows.
    - intros e. now apply only_maintainers_rule.
    - intros e own. rewrite in_join. split; [| now left]. intros [found | [<- | []]]; [exact found | contradiction].
  Qed.

  Lemma forgeries_witness_nothing : forall s x k merge root,
    effective a (join s [x]) x = false ->
    counts_for a (join s [x]) k merge root <-> counts_for a s k merge root.
  Proof.
    intros s x k merge root idle.
    destruct (idle_operations_change_nothing a s [x]) as [_ counts]; [now intros e [<- | []] |].
    assert (forall r, key_attests a (join s [x]) k merge r <-> key_attests a s k merge r) as both.
    { intros r. split; intros (e & found & sound & rest); exists e.
      - apply in_join in found as [found | [<- | []]]; [| congruence]. rewrite counts in sound. now split.
      - rewrite counts. split; [apply in_join; now left | now split]. }
    unfold counts_for. rewrite both.
    split; intros [said alone]; (split; [exact said |]); intros r found; now apply alone, both.
  Qed.
End PolicyWitnesses.
