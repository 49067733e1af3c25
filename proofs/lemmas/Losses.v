(** What can be lost: an operation that nobody has on disk, in a backup, in a message or in another memory. *)

From Coq Require Import List Arith.
From MergeAlgebra.Definitions Require Import OperationSet Network.
From MergeAlgebra.Lemmas Require Import Joins Networks.
Import ListNotations.

Section Losses.
  Context {op : Type}.
  Implicit Types s t u : system op.
  Implicit Types history : list (event op).

  Record gone (o : op) s : Prop := {
    in_no_memory : forall i, ~ In o (memory s i);
    on_no_disk : forall i, ~ In o (disk s i);
    in_no_backup : forall copy, In copy (backups s) -> ~ In o copy;
    in_no_message : forall message, In message (messages s) -> ~ In o message
  }.

  Lemma update_lacks : forall (f : replica -> state_over op) i x (o : op),
    (forall j, ~ In o (f j)) -> ~ In o x -> forall j, ~ In o (update f i x j).
  Proof. intros f i x o lacks missing j. unfold update. now destruct (j =? i). Qed.

  Lemma join_lacks : forall (a b : state_over op) o, ~ In o a -> ~ In o b -> ~ In o (join a b).
  Proof. intros a b o. rewrite in_join. tauto. Qed.

  Lemma gone_steps : forall o s e t, gone o s -> step s e t -> (forall i, e <> Make i o) -> gone o t.
  Proof.
    intros o s e t [memories disks copies sent] stepped unmade.
    destruct stepped; constructor; cbn; try assumption; try (apply update_lacks; try assumption; try apply join_lacks;
      auto).
    - intros [-> | []]. now apply (unmade i).
    - intros found. now apply (memories i), H.
    - intros m [<- | found]; [intros found | auto]. now apply (memories i), H.
    - intros found. now apply (sent message), H0.
    - auto.
    - intros copy [<- | found]; auto.
  Qed.

  Lemma gone_for_good : forall o s history t,
    gone o s -> run s history t -> (forall i, ~ In (Make i o) history) -> gone o t.
  Proof.
    intros o s history t lost ran. induction ran as [| s e t middle rest stepped ran IH]; intros unmade; [exact lost |].
    apply IH.
    - apply (gone_steps o s e); [exact lost | exact stepped |]. intros i ->. apply (unmade i). now left.
    - intros i found. apply (unmade i). now right.
  Qed.

  Lemma unpersisted_operations_can_be_lost : forall i (o : op),
    exists s, run (initial op) [Make i o; Crash i] s /\ In o (made s) /\
      forall history t, run s history t -> (forall j, ~ In (Make j o) history) -> forall j, ~ In o (memory t j).
  Proof.
    intros i o. eexists. split; [| split].
    - eapply then_; [apply make |]. eapply then_; [apply crash | apply still].
    - cbn. now left.
    - intros history t ran unmade j. refine (in_no_memory _ _ (gone_for_good o _ history t _ ran unmade) j).
      constructor; cbn; auto. intros k. unfold update. destruct (k =? i); auto.
  Qed.
End Losses.
