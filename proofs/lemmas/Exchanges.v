(** After a round, directly or over a common folder. *)

From Coq Require Import List Arith.
From MergeAlgebra.Definitions Require Import OperationSet Network.
From MergeAlgebra.Lemmas Require Import Joins Visibility Networks.
Import ListNotations.

Section Exchanges.
  Context {op : Type}.
  Implicit Types s t u : system op.
  Implicit Types history : list (event op).

  Lemma every_operation_arrives : forall s participants history t,
    run s history t -> round s participants history ->
    forall i j, In i participants -> In j participants -> within (memory s i) (memory t j).
  Proof.
    intros s participants history t ran through i j member member' o held.
    apply (round_delivers s participants history t ran through j member'), in_pool. now exists i.
  Qed.

  Lemma all_hold_the_same_after_a_quiet_round : forall s participants history t,
    run s history t -> round s participants history -> quiet s participants history ->
    forall i j, In i participants -> In j participants ->
      same (memory t i) (memory t j) /\ same (memory t i) (pool s participants).
  Proof.
    intros s participants history t ran through still i j member member'.
    pose proof (quiet_round_agrees s participants history t ran through still) as agrees. split.
    - intros o. rewrite (agrees i member o), (agrees j member' o). tauto.
    - apply agrees, member.
  Qed.

  Lemma a_round_can_always_go_through : forall s participants,
    exists history t, run s history t /\ round s participants history /\ quiet s participants history
      /\ nothing_made history.
  Proof.
    intros s participants. destruct (full_round_runs s participants) as [t ran].
    exists (full_round s participants), t.
    destruct (full_round_is_a_quiet_round s participants) as (through & still & unmade & _). auto.
  Qed.

  Lemma persisted_arrives : forall s history t participants history' u,
    reachable s -> run s history t -> run t history' u -> round t participants history' ->
    forall i j, In i participants -> In j participants -> never_restored i history ->
      within (disk s i) (memory u j).
  Proof.
    intros s history t participants history' u reached ran ran' through i j member member' kept.
    apply within_transitive with (memory t i).
    - now apply persisted_survives with history.
    - now apply (every_operation_arrives t participants history' u).
  Qed.

  Lemma over_a_folder : forall s history t history' u folder participants,
    run s history t -> run t history' u ->
    stays_up folder history -> stays_up folder history' ->
    (forall i, In i participants -> stays_up i history /\ stays_up i history') ->
    (forall i, In i participants -> is_delivered (memory s i) folder history) ->
    (forall i, In i participants -> is_delivered (memory t folder) i history') ->
    forall i, In i participants -> within (pool s (folder :: participants)) (memory u i).
  Proof.
    intros s history t history' u folder participants ran ran' up up' all_up given taken i member o found.
    apply (run_receives _ _ _ _ ran' (proj2 (all_up i member)) o), in_join. right. apply (taken i member).
    apply (run_receives _ _ _ _ ran up o), in_join.
    apply in_pool in found as [j [[<- | member'] held]]; [now left | right]. now apply (given j).
  Qed.

  Lemma a_restored_replica_catches_up : forall s i copy t participants history u,
    step s (Restore i copy) t -> run t history u -> round t participants history -> In i participants ->
    forall j, In j participants -> j <> i -> within (memory s j) (memory u i).
  Proof.
    intros s i copy t participants history u stepped ran through member j member' differ.
    apply within_transitive with (memory t j); [| now apply (every_operation_arrives t participants history u)].
    inversion stepped; subst. cbn. rewrite update_elsewhere by exact differ. apply within_itself.
  Qed.
End Exchanges.

(** What an open workspace shows. *)
Section Shown.
  Context {w : workspace}.
  Implicit Types s t u : system (operation w).
  Implicit Types history : list (event (operation w)).

  Lemma same_received_same_answer : forall history history' s s' i j,
    run (initial (operation w)) history s -> run (initial (operation w)) history' s' ->
    stays_up i history -> stays_up j history' ->
    same (received i history) (received j history') -> visible (memory s i) = visible (memory s' j).
  Proof.
    intros history history' s s' i j ran ran' up up' equal. apply visible_respects_same.
    now apply (same_received_same_memory history history').
  Qed.

  Lemma all_agree_after_a_quiet_round : forall s participants history t,
    run s history t -> round s participants history -> quiet s participants history ->
    forall i j, In i participants -> In j participants ->
      same (memory t i) (memory t j) /\ visible (memory t i) = visible (pool s participants).
  Proof.
    intros s participants history t ran through still i j member member'.
    destruct (all_hold_the_same_after_a_quiet_round s participants history t ran through still i j member member')
      as [each pooled].
    split; [exact each | now apply visible_respects_same].
  Qed.

  Lemma removes_arrive : forall s participants history t i named said o,
    run s history t -> round s participants history -> In i participants ->
    In (Remove named said) (memory s i) -> In (operation_id o) named ->
    forall j, In j participants -> ~ In o (standing (memory t j)).
  Proof.
    intros s participants history t i named said o ran through member held hit j member'.
    apply (remove_works_before_its_add (memory s i) (memory t j) named said o held hit).
    now apply (every_operation_arrives s participants history t).
  Qed.

  Lemma add_again : forall s i m n r,
    reachable s -> collision_free (Add m n r :: made s) -> ~ In (Add m n r) (made s) ->
    (forall named said, In (Remove named said) (made s) ->
       forall x, In x named -> exists o, In o (made s) /\ operation_id o = x) ->
    base_of m = base w -> In (contribution_id m) (visible (join (memory s i) [Add m n r])).
  Proof.
    intros s i m n r reached free new observed ours.
    apply new_add_is_visible with (made s); try assumption. apply (nothing_is_invented s reached i).
  Qed.
End Shown.
