(** Replicas and the network between them: any number of replicas, each with a memory and a disk; messages that are
    lost, repeated, reordered and delivered in part; crashes; backups that are restored, anywhere. Anybody may make any
    operation at any moment [OS-7, OS-8, SY-4, SY-8]. [op] is whatever an operation is, of an open workspace or of a
    signed one.

    What is damaged on the way is refused when it arrives (SY-3), so that damage is one more way of losing. *)

From Coq Require Import List Arith.
From MergeAlgebra.Definitions Require Import OperationSet.
Import ListNotations.

Definition replica : Type := nat.

Record system (op : Type) : Type := System {
  memory : replica -> state_over op;  (* what a replica holds *)
  disk : replica -> state_over op;    (* what of it a crash leaves *)
  backups : list (state_over op);     (* copies of disks, of any replica and any age *)
  messages : list (state_over op);    (* in flight *)
  made : state_over op                (* all operations ever made; no replica knows it *)
}.

Arguments System {op}. Arguments memory {op}. Arguments disk {op}. Arguments backups {op}.
Arguments messages {op}. Arguments made {op}.

Definition initial (op : Type) : system op := System (fun _ => []) (fun _ => []) [] [] [].

Inductive event (op : Type) : Type :=
  | Make (i : replica) (o : op)                           (* contribute, retract, attest; or anything else, by anybody *)
  | Persist (i : replica) (part : state_over op)          (* files reach the disk one by one *)
  | Send (i : replica) (part : state_over op)             (* whatever part of what it holds *)
  | Deliver (i : replica) (message part : state_over op)  (* any part of a message, any number of times, in any order *)
  | Lose (left : list (state_over op))                    (* some messages never arrive *)
  | Crash (i : replica)                                   (* back to the disk *)
  | Backup (i : replica)
  | Restore (i : replica) (copy : state_over op).         (* back to any backup, another replica's too *)

Arguments Make {op}. Arguments Persist {op}. Arguments Send {op}. Arguments Deliver {op}.
Arguments Lose {op}. Arguments Crash {op}. Arguments Backup {op}. Arguments Restore {op}.

Definition update {A : Type} (f : replica -> A) (i : replica) (x : A) : replica -> A :=
  fun j => if j =? i then x else f j.

Inductive step {op} (s : system op) : event op -> system op -> Prop :=
  | make : forall i o,
      step s (Make i o)
        (System (update (memory s) i (join (memory s i) [o])) (disk s) (backups s) (messages s) (join (made s) [o]))
  | persist : forall i part,
      within part (memory s i) ->
      step s (Persist i part)
        (System (memory s) (update (disk s) i (join (disk s i) part)) (backups s) (messages s) (made s))
  | send : forall i part,
      within part (memory s i) ->
      step s (Send i part) (System (memory s) (disk s) (backups s) (part :: messages s) (made s))
  | deliver : forall i message part,
      In message (messages s) -> within part message ->
      step s (Deliver i message part)
        (System (update (memory s) i (join (memory s i) part)) (disk s) (backups s) (messages s) (made s))
  | lose : forall left,
      incl left (messages s) ->
      step s (Lose left) (System (memory s) (disk s) (backups s) left (made s))
  | crash : forall i,
      step s (Crash i) (System (update (memory s) i (disk s i)) (disk s) (backups s) (messages s) (made s))
  | backup : forall i,
      step s (Backup i) (System (memory s) (disk s) (disk s i :: backups s) (messages s) (made s))
  | restore : forall i copy,
      In copy (backups s) ->
      step s (Restore i copy)
        (System (update (memory s) i copy) (update (disk s) i copy) (backups s) (messages s) (made s)).

Inductive run {op} (s : system op) : list (event op) -> system op -> Prop :=
  | still : run s [] s
  | then_ : forall e after s' rest, step s e s' -> run s' rest after -> run s (e :: rest) after.

Definition reachable {op} (s : system op) : Prop := exists history, run (initial op) history s.

(** ** What the claims speak of *)

(** The replica neither crashes nor goes back to a backup. *)
Definition stays_up {op} (i : replica) (history : list (event op)) : Prop :=
  ~ In (Crash i) history /\ forall copy, ~ In (Restore i copy) history.

Definition never_restored {op} (i : replica) (history : list (event op)) : Prop :=
  forall copy, ~ In (Restore i copy) history.

(** The operations that a replica made or was delivered. *)
Definition received {op} (i : replica) (history : list (event op)) : state_over op :=
  flat_map (fun e => match e with
                     | Make j o => if i =? j then [o] else []
                     | Deliver j _ part => if i =? j then part else []
                     | _ => []
                     end) history.

(** In this history the replica is delivered at least these operations. *)
Definition is_delivered {op} (operations : state_over op) (i : replica) (history : list (event op)) : Prop :=
  within operations (received i history).

(** What the participants hold between them. *)
Definition pool {op} (s : system op) (participants : list replica) : state_over op := flat_map (memory s) participants.

(** A round goes through: nobody among the participants goes down, and each is delivered what each of the others held
    when it began. In how many messages, in which order, how often, and what else happens meanwhile does not matter. *)
Definition round {op} (s : system op) (participants : list replica) (history : list (event op)) : Prop :=
  forall i, In i participants ->
    stays_up i history /\ forall j, In j participants -> j <> i -> is_delivered (memory s j) i history.

(** Nothing new reaches a participant: no operation that was in none of their hands when it began. *)
Definition quiet {op} (s : system op) (participants : list replica) (history : list (event op)) : Prop :=
  forall i, In i participants -> within (received i history) (pool s participants).

(** Nobody makes an operation. *)
Definition nothing_made {op} (history : list (event op)) : Prop := forall i o, ~ In (Make i o) history.
