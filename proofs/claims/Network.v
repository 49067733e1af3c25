(** Strong eventual consistency: what is claimed of replicas over a network that loses, repeats and reorders, of crashes
    and of restored backups. [w] is any workspace, [op] whatever an operation is: what is held and delivered is the same
    in signed workspaces. The words are those of definitions/OperationSet.v and definitions/Network.v. *)

From Coq Require Import List.
From MergeAlgebra.Definitions Require Import OperationSet Network.
From MergeAlgebra.Lemmas Require Joins Visibility Networks Losses Exchanges.
Import ListNotations.

(** ** Safety: at every moment of every execution *)

(** Whatever happened, no replica holds, in memory or on disk, an operation that nobody made. [OS-7] *)
Theorem nothing_is_invented : forall op (s : system op), reachable s ->
  forall i, within (memory s i) (made s) /\ within (disk s i) (made s).
Proof. exact @Networks.nothing_is_invented. Qed.

(** While it stays up, a replica holds exactly what it held and what it made or was delivered since. [OS-7] *)
Theorem memory_is_what_arrived : forall op (s : system op) history t i, run s history t -> stays_up i history ->
  same (memory t i) (join (memory s i) (received i history)).
Proof. exact @Networks.run_receives. Qed.

(** Two replicas that received the same set of operations show the same contributions, even in two different executions.
    [OS-7, OS-9] *)
Theorem same_received_same_answer : forall w history history' (s s' : system (operation w)) i j,
  run (initial (operation w)) history s -> run (initial (operation w)) history' s' ->
  stays_up i history -> stays_up j history' ->
  same (received i history) (received j history') -> visible (memory s i) = visible (memory s' j).
Proof. exact @Exchanges.same_received_same_answer. Qed.

(** While it stays up, a replica loses nothing. [OS-7] *)
Theorem memory_only_grows : forall op (s : system op) history t i,
  run s history t -> stays_up i history -> within (memory s i) (memory t i).
Proof. exact @Networks.run_keeps_memory. Qed.

(** What is on a replica's disk survives every crash; only an older backup takes it away. [OS-7, SY-8] *)
Theorem persisted_survives : forall op (s : system op) history t i,
  reachable s -> run s history t -> never_restored i history -> within (disk s i) (memory t i).
Proof. exact @Networks.persisted_survives. Qed.

(** Unless operations collide, a contribution can be added again, anywhere and at any moment, as long as removes name
    operations that were made: the new add is visible at once. [OS-9] *)
Theorem add_again : forall w (s : system (operation w)) i m n r,
  reachable s -> collision_free (Add m n r :: made s) -> ~ In (Add m n r) (made s) ->
  (forall named said, In (Remove named said) (made s) ->
     forall x, In x named -> exists o, In o (made s) /\ operation_id o = x) ->
  base_of m = base w -> In (contribution_id m) (visible (join (memory s i) [Add m n r])).
Proof. exact @Exchanges.add_again. Qed.

(** ** Delivery: once an exchange goes through *)

(** After a round, every participant holds every operation that any participant held when it began, whatever else
    happened meanwhile. [SY-4] *)
Theorem every_operation_arrives : forall op (s : system op) participants history t,
  run s history t -> round s participants history ->
  forall i j, In i participants -> In j participants -> within (memory s i) (memory t j).
Proof. exact @Exchanges.every_operation_arrives. Qed.

(** What a participant had on disk arrives everywhere after any crashes, its own too, and then a round, unless it was
    set back to an older backup. [SY-4, SY-8] *)
Theorem persisted_arrives : forall op (s : system op) history t participants history' u,
  reachable s -> run s history t -> run t history' u -> round t participants history' ->
  forall i j, In i participants -> In j participants -> never_restored i history ->
    within (disk s i) (memory u j).
Proof. exact @Exchanges.persisted_arrives. Qed.

(** A replica that is set back to a backup has, after a round, everything again that another participant held. [OS-7,
    SY-4] *)
Theorem a_restored_replica_catches_up : forall op (s : system op) i copy t participants history u,
  step s (Restore i copy) t -> run t history u -> round t participants history -> In i participants ->
  forall j, In j participants -> j <> i -> within (memory s j) (memory u i).
Proof. exact @Exchanges.a_restored_replica_catches_up. Qed.

(** After a round in which nothing new reached them, all participants hold the same and show what their union shows.
    [OS-7, OS-9, SY-4] *)
Theorem all_agree_after_a_quiet_round : forall w (s : system (operation w)) participants history t,
  run s history t -> round s participants history -> quiet s participants history ->
  forall i j, In i participants -> In j participants ->
    same (memory t i) (memory t j) /\ visible (memory t i) = visible (pool s participants).
Proof. exact @Exchanges.all_agree_after_a_quiet_round. Qed.

(** From every state, such a round is possible: nothing that happened can keep replicas apart for good. [SY-4] *)
Theorem a_round_can_always_go_through : forall op (s : system op) participants,
  exists history t, run s history t /\ round s participants history /\ quiet s participants history
    /\ nothing_made history.
Proof. exact @Exchanges.a_round_can_always_go_through. Qed.

(** After a round, an add that a remove of any participant names stands at no participant. [OS-9, SY-4]
    *)
Theorem removes_arrive : forall w (s : system (operation w)) participants history t i named said (o : operation w),
  run s history t -> round s participants history -> In i participants ->
  In (Remove named said) (memory s i) -> In (operation_id o) named ->
  forall j, In j participants -> ~ In o (standing (memory t j)).
Proof. exact @Exchanges.removes_arrive. Qed.

(** When all have synced with one folder, and then all once more, each holds what any of them held at first. [SY-4,
    SY-7] *)
Theorem over_a_folder : forall op (s : system op) history t history' u folder participants,
  run s history t -> run t history' u ->
  stays_up folder history -> stays_up folder history' ->
  (forall i, In i participants -> stays_up i history /\ stays_up i history') ->
  (forall i, In i participants -> is_delivered (memory s i) folder history) ->
  (forall i, In i participants -> is_delivered (memory t folder) i history') ->
  forall i, In i participants -> within (pool s (folder :: participants)) (memory u i).
Proof. exact @Exchanges.over_a_folder. Qed.

(** The condition is needed: an operation that was neither on disk nor sent when its maker crashed is gone unless it is
    made again. [SY-8] *)
Theorem unpersisted_operations_can_be_lost : forall op i (o : op),
  exists s, run (initial op) [Make i o; Crash i] s /\ In o (made s) /\
    forall history t, run s history t -> (forall j, ~ In (Make j o) history) -> forall j, ~ In o (memory t j).
Proof. exact @Losses.unpersisted_operations_can_be_lost. Qed.
