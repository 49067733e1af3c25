(** Replicas and the network between them: any number of replicas, each with a memory and a disk; messages that are
    lost, repeated, reordered and delivered in part; crashes; backups that are restored, anywhere. Anybody may make any
    operation at any moment [OS-7, OS-8, SY-4, SY-8].

    What is damaged on the way is refused when it arrives (SY-3), so that damage is one more way of losing. *)

From Coq Require Import List Arith.
From MergeAlgebra.Definitions Require Import OperationSet.
Import ListNotations.

Definition replica : Type := nat.

Record system (w : workspace) : Type := System {
  memory : replica -> state w;    (* what a replica holds *)
  disk : replica -> state w;      (* what of it a crash leaves *)
  backups : list (state w);       (* copies of disks, of any replica and any age *)
  messages : list (state w);      (* in flight *)
  made : state w                  (* all operations ever made; no replica knows it *)
}.

Arguments System {w}. Arguments memory {w}. Arguments disk {w}. Arguments backups {w}.
Arguments messages {w}. Arguments made {w}.

Definition initial (w : workspace) : system w := System (fun _ => []) (fun _ => []) [] [] [].

Inductive event (w : workspace) : Type :=
  | Make (i : replica) (o : operation w)            (* contribute, retract, attest; or anything else, by anybody *)
  | Persist (i : replica) (part : state w)          (* files reach the disk one by one *)
  | Send (i : replica) (part : state w)             (* whatever part of what it holds *)
  | Deliver (i : replica) (message part : state w)  (* any part of a message, any number of times, in any order *)
  | Lose (left : list (state w))                    (* some messages never arrive *)
  | Crash (i : replica)                             (* back to the disk *)
  | Backup (i : replica)
  | Restore (i : replica) (copy : state w).         (* back to any backup, another replica's too *)

Arguments Make {w}. Arguments Persist {w}. Arguments Send {w}. Arguments Deliver {w}.
Arguments Lose {w}. Arguments Crash {w}. Arguments Backup {w}. Arguments Restore {w}.

Definition update {A : Type} (f : replica -> A) (i : replica) (x : A) : replica -> A :=
  fun j => if j =? i then x else f j.

Inductive step {w} (s : system w) : event w -> system w -> Prop :=
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

Inductive run {w} (s : system w) : list (event w) -> system w -> Prop :=
  | still : run s [] s
  | then_ : forall e after s' rest, step s e s' -> run s' rest after -> run s (e :: rest) after.

Definition reachable {w} (s : system w) : Prop := exists history, run (initial w) history s.

(** ** What the claims speak of *)

(** The replica neither crashes nor goes back to a backup. *)
Definition stays_up {w} (i : replica) (history : list (event w)) : Prop :=
  ~ In (Crash i) history /\ forall copy, ~ In (Restore i copy) history.

Definition never_restored {w} (i : replica) (history : list (event w)) : Prop :=
  forall copy, ~ In (Restore i copy) history.

(** The operations that a replica made or was delivered. *)
Definition received {w} (i : replica) (history : list (event w)) : state w :=
  flat_map (fun e => match e with
                     | Make j o => if i =? j then [o] else []
                     | Deliver j _ part => if i =? j then part else []
                     | _ => []
                     end) history.

(** In this history the replica is delivered at least these operations. *)
Definition is_delivered {w} (operations : state w) (i : replica) (history : list (event w)) : Prop :=
  within operations (received i history).

(** What the participants hold between them. *)
Definition pool {w} (s : system w) (participants : list replica) : state w := flat_map (memory s) participants.

(** A round goes through: nobody among the participants goes down, and each is delivered what each of the others held
    when it began. In how many messages, in which order, how often, and what else happens meanwhile does not matter. *)
Definition round {w} (s : system w) (participants : list replica) (history : list (event w)) : Prop :=
  forall i, In i participants ->
    stays_up i history /\ forall j, In j participants -> j <> i -> is_delivered (memory s j) i history.

(** Nothing new reaches a participant: no operation that was in none of their hands when it began. *)
Definition quiet {w} (s : system w) (participants : list replica) (history : list (event w)) : Prop :=
  forall i, In i participants -> within (received i history) (pool s participants).

(** Nobody makes an operation. *)
Definition nothing_made {w} (history : list (event w)) : Prop := forall i o, ~ In (Make i o) history.
