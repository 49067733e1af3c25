(** What every execution of the network keeps. *)

From Coq Require Import List Arith.
From MergeAlgebra.Definitions Require Import OperationSet Network.
From MergeAlgebra.Lemmas Require Import Joins.
Import ListNotations.

Section Networks.
  Context {op : Type}.
  Implicit Types s t u : system op.
  Implicit Types history : list (event op).

  Lemma update_at : forall (A : Type) (f : replica -> A) i x, update f i x i = x.
  Proof. intros. unfold update. now rewrite Nat.eqb_refl. Qed.

  Lemma update_elsewhere : forall (A : Type) (f : replica -> A) i j x, j <> i -> update f i x j = f j.
  Proof. intros A f i j x differ. unfold update. apply Nat.eqb_neq in differ. now rewrite differ. Qed.

  Lemma run_append : forall s h t h' u, run s h t -> run t h' u -> run s (h ++ h') u.
  Proof.
    intros s h t h' u first. revert h' u. induction first; intros h' u second; cbn; [exact second |].
    econstructor; eauto.
  Qed.

  Lemma reachable_onwards : forall s history t, reachable s -> run s history t -> reachable t.
  Proof. intros s history t [past ran] more. exists (past ++ history). now apply run_append with s. Qed.

  (** An invariant that each step keeps holds in every reachable state. *)
  Lemma invariant : forall (holds : system op -> Prop),
    holds (initial op) -> (forall s e t, holds s -> step s e t -> holds t) -> forall s, reachable s -> holds s.
  Proof.
    intros holds base keeps s [history ran]. induction ran; [exact base | eauto].
  Qed.

  (** ** Nothing is invented *)

  Record sound s : Prop := {
    memory_sound : forall i, within (memory s i) (made s);
    disk_sound : forall i, within (disk s i) (memory s i);
    backups_sound : forall copy, In copy (backups s) -> within copy (made s);
    messages_sound : forall message, In message (messages s) -> within message (made s)
  }.

  Lemma within_join : forall a b c : state_over op, within a c -> within b c -> within (join a b) c.
  Proof. intros a b c. apply join_least_upper_bound. Qed.

  Lemma within_itself : forall a : state_over op, within a a.
  Proof. intros a o. exact (fun found => found). Qed.

  Lemma within_transitive : forall a b c : state_over op, within a b -> within b c -> within a c.
  Proof. intros a b c ab bc o found. now apply bc, ab. Qed.

  Lemma within_join_left : forall a b c : state_over op, within a b -> within a (join b c).
  Proof. intros a b c all o found. apply in_join. left. now apply all. Qed.

  Lemma update_within : forall (f g : replica -> state_over op) i x,
    (forall j, within (f j) (g j)) -> within x (g i) -> forall j, within (update f i x j) (g j).
  Proof. intros f g i x all at_i j. unfold update. now destruct (Nat.eqb_spec j i) as [-> |]. Qed.

  Lemma within_update : forall (f g : replica -> state_over op) i x,
    (forall j, within (f j) (g j)) -> within (f i) x -> forall j, within (f j) (update g i x j).
  Proof. intros f g i x all at_i j. unfold update. now destruct (Nat.eqb_spec j i) as [-> |]. Qed.

  Lemma update_update_within : forall (f g : replica -> state_over op) i x,
    (forall j, within (f j) (g j)) -> forall j, within (update f i x j) (update g i x j).
  Proof. intros f g i x all j. unfold update. destruct (j =? i); [apply within_itself | apply all]. Qed.

  Lemma sound_steps : forall s e t, sound s -> step s e t -> sound t.
  Proof.
    intros s e t [in_memory on_disk saved sent] stepped.
    assert (forall i, within (disk s i) (made s)) as disk_made by eauto using within_transitive.
    destruct stepped; constructor; cbn; try assumption; try (now eauto using within_join_left).
    - (* make: memory *)
      apply (update_within _ (fun _ => join (made s) [o])); [eauto using within_join_left |].
      apply join_monotone; [apply in_memory | apply within_itself].
    - (* make: disk *) apply within_update; eauto using within_join_left.
    - (* persist: disk *) apply update_within; [exact on_disk | now apply within_join].
    - (* send: messages *) intros m [<- | found]; eauto using within_transitive.
    - (* deliver: memory *)
      apply (update_within _ (fun _ => made s)); [exact in_memory |].
      apply within_join; eauto using within_transitive.
    - (* deliver: disk *) apply within_update; eauto using within_join_left.
    - (* crash: memory *) apply (update_within _ (fun _ => made s)); [exact in_memory | apply disk_made].
    - (* crash: disk *) apply within_update; [exact on_disk | apply within_itself].
    - (* backup: backups *) intros copy [<- | found]; eauto.
    - (* restore: memory *) apply (update_within _ (fun _ => made s)); eauto.
    - (* restore: disk *) now apply update_update_within.
  Qed.

  Lemma reachable_sound : forall s, reachable s -> sound s.
  Proof.
    apply invariant; [| apply sound_steps].
    constructor; cbn; try contradiction; intros i; apply within_itself.
  Qed.

  Lemma nothing_is_invented : forall s, reachable s ->
    forall i, within (memory s i) (made s) /\ within (disk s i) (made s).
  Proof.
    intros s reached i. apply reachable_sound in reached as [in_memory on_disk _ _].
    split; [apply in_memory | now apply within_transitive with (memory s i)].
  Qed.

  (** ** What is held stays held *)

  Lemma stays_up_tail : forall i (e : event op) history, stays_up i (e :: history) -> stays_up i history.
  Proof. intros i e history [crash restore]. split; [| intros copy]; cbn in *; firstorder. Qed.

  Lemma step_keeps_memory : forall s e t i, step s e t -> stays_up i [e] -> within (memory s i) (memory t i).
  Proof.
    intros s e t i stepped [no_crash no_restore].
    destruct stepped; cbn in *; try apply within_itself; unfold update; destruct (Nat.eqb_spec i i0);
      subst; try apply within_itself; try (now apply within_join_left, within_itself).
    - exfalso. apply no_crash. now left.
    - exfalso. apply (no_restore copy). now left.
  Qed.

  Lemma run_keeps_memory : forall s history t i,
    run s history t -> stays_up i history -> within (memory s i) (memory t i).
  Proof.
    intros s history t i ran. induction ran as [| s e t middle rest stepped ran IH]; intros up; [apply within_itself |].
    apply within_transitive with (memory middle i).
    - apply (step_keeps_memory s e); [exact stepped |].
      destruct up as [no_crash no_restore]. split; cbn in *; [firstorder |]. intros copy.
      specialize (no_restore copy). firstorder.
    - now apply IH, stays_up_tail with e.
  Qed.

  Lemma run_keeps_disk : forall s history t i,
    run s history t -> never_restored i history -> within (disk s i) (disk t i).
  Proof.
    intros s history t i ran. induction ran as [| s e t middle rest stepped ran IH]; intros up; [apply within_itself |].
    apply within_transitive with (disk middle i).
    - destruct stepped; cbn in *; try apply within_itself; unfold update; destruct (Nat.eqb_spec i i0);
        subst; try apply within_itself; try (now apply within_join_left, within_itself).
      exfalso. apply (up copy). now left.
    - apply IH. intros copy found. apply (up copy). now right.
  Qed.

  Lemma persisted_survives : forall s history t i,
    reachable s -> run s history t -> never_restored i history -> within (disk s i) (memory t i).
  Proof.
    intros s history t i reached ran kept. apply within_transitive with (disk t i).
    - now apply run_keeps_disk with history.
    - apply (reachable_sound t). now apply reachable_onwards with s history.
  Qed.

  (** ** What arrives is held *)

  Lemma in_received_cons : forall i (e : event op) history o,
    In o (received i (e :: history)) <-> In o (received i [e]) \/ In o (received i history).
  Proof. intros i e history o. unfold received. cbn. rewrite app_nil_r, in_app_iff. tauto. Qed.

  Lemma step_receives : forall s e t i, step s e t -> stays_up i [e] ->
    same (memory t i) (join (memory s i) (received i [e])).
  Proof.
    intros s e t i stepped [no_crash no_restore] o. rewrite in_join.
    destruct stepped; cbn in *; try tauto; unfold update; destruct (Nat.eqb_spec i i0); subst;
      rewrite ?in_join; rewrite ?app_nil_r; cbn; try tauto.
    exfalso. apply (no_restore copy). now left.
  Qed.

  Lemma run_receives : forall s history t i, run s history t -> stays_up i history ->
    same (memory t i) (join (memory s i) (received i history)).
  Proof.
    intros s history t i ran. induction ran as [| s e t middle rest stepped ran IH]; intros up o.
    - rewrite in_join. cbn. tauto.
    - rewrite in_join, in_received_cons, (IH (stays_up_tail _ _ _ up) o), in_join.
      assert (stays_up i [e]) as up_now.
      { destruct up as [no_crash no_restore]. split; cbn in *; [firstorder |]. intros copy.
      specialize (no_restore copy). firstorder. }
      rewrite (step_receives s e middle i stepped up_now o), in_join. tauto.
  Qed.

  Lemma memory_is_what_was_received : forall history s i,
    run (initial op) history s -> stays_up i history -> same (memory s i) (received i history).
  Proof.
    intros history s i ran up o. rewrite (run_receives _ _ _ _ ran up o), in_join. cbn. tauto.
  Qed.

  Lemma same_received_same_memory : forall history history' s s' i j,
    run (initial op) history s -> run (initial op) history' s' -> stays_up i history -> stays_up j history' ->
    same (received i history) (received j history') -> same (memory s i) (memory s' j).
  Proof.
    intros history history' s s' i j ran ran' up up' equal o.
    rewrite (memory_is_what_was_received _ _ _ ran up o), (memory_is_what_was_received _ _ _ ran' up' o). apply equal.
  Qed.

  (** ** Rounds *)

  Lemma in_pool : forall s participants o,
    In o (pool s participants) <-> exists i, In i participants /\ In o (memory s i).
  Proof. intros s participants o. unfold pool. apply in_flat_map. Qed.

  Lemma round_delivers : forall s participants history t,
    run s history t -> round s participants history ->
    forall i, In i participants -> within (pool s participants) (memory t i).
  Proof.
    intros s participants history t ran through i member o found. destruct (through i member) as [up delivered].
    apply in_pool in found as [j [member' held]]. apply (run_receives _ _ _ _ ran up o), in_join.
    destruct (Nat.eq_dec j i) as [-> | differ]; [now left | right]. now apply (delivered j).
  Qed.

  Lemma quiet_round_agrees : forall s participants history t,
    run s history t -> round s participants history -> quiet s participants history ->
    forall i, In i participants -> same (memory t i) (pool s participants).
  Proof.
    intros s participants history t ran through still i member o. split.
    - intros held. destruct (through i member) as [up _].
      apply (run_receives _ _ _ _ ran up o), in_join in held as [held | held].
      + apply in_pool. now exists i.
      + now apply (still i).
    - now apply (round_delivers s participants history t).
  Qed.

  (** A schedule that is a quiet round: all send what they hold, then each is delivered each message. *)

  Definition all_send s (senders : list replica) : list (event op) := map (fun i => Send i (memory s i)) senders.

  Definition deliveries s (senders : list replica) (i : replica) : list (event op) :=
    map (fun j => Deliver i (memory s j) (memory s j)) senders.

  Definition full_round s (participants : list replica) : list (event op) :=
    all_send s participants ++ flat_map (deliveries s participants) participants.

  Lemma all_send_runs : forall senders s,
    exists t, run s (all_send s senders) t /\ memory t = memory s /\ incl (map (memory s) senders) (messages t).
  Proof.
    assert (forall senders s t, memory t = memory s ->
              exists u, run t (all_send s senders) u /\ memory u = memory s
                        /\ incl (map (memory s) senders ++ messages t) (messages u)) as general.
    { induction senders as [| i senders IH]; intros s t equal.
      - exists t. repeat split; [constructor | exact equal | apply incl_refl].
      - pose (t' := System (memory t) (disk t) (backups t) (memory s i :: messages t) (made t)).
        destruct (IH s t' equal) as (u & ran & kept & sent). exists u. repeat split; [| exact kept |].
        + cbn. apply then_ with t'; [| exact ran]. apply send. rewrite equal. apply within_itself.
        + intros m found. apply sent. cbn in *. apply in_app_iff.
          destruct found as [<- | found]; [right; now left |].
          apply in_app_iff in found as [found | found]; [now left | right; now right]. }
    intros senders s. destruct (general senders s s eq_refl) as (u & ran & kept & sent).
    exists u. repeat split; [exact ran | exact kept |]. intros m found. apply sent, in_app_iff. now left.
  Qed.

  Definition only_deliveries_of (messages : list (state_over op)) history : Prop :=
    forall e, In e history -> exists i m, e = Deliver i m m /\ In m messages.

  Lemma deliveries_run : forall history t, only_deliveries_of (messages t) history -> exists u, run t history u.
  Proof.
    induction history as [| e history IH]; intros t legal; [exists t; constructor |].
    destruct (legal e) as (i & m & -> & found); [now left |].
    pose (t' := System (update (memory t) i (join (memory t i) m)) (disk t) (backups t) (messages t) (made t)).
    destruct (IH t') as [u ran]; [intros e' found'; apply legal; now right |].
    exists u. apply then_ with t'; [| exact ran]. apply deliver; [exact found | apply within_itself].
  Qed.

  Lemma in_full_round : forall s participants e, In e (full_round s participants) ->
    (exists i, In i participants /\ e = Send i (memory s i)) \/
    (exists i j, In i participants /\ In j participants /\ e = Deliver i (memory s j) (memory s j)).
  Proof.
    intros s participants e found. unfold full_round in found. apply in_app_iff in found as [found | found].
    - left. apply in_map_iff in found as [i [<- member]]. now exists i.
    - right. apply in_flat_map in found as [i [member found]]. apply in_map_iff in found as [j [<- member']].
      now exists i, j.
  Qed.

  Lemma in_received : forall i history o,
    In o (received i history) <->
    In (Make i o) history \/ exists message part, In (Deliver i message part) history /\ In o part.
  Proof.
    intros i history o. unfold received. rewrite in_flat_map. split.
    - intros [e [found hit]]. destruct e as [k p | | | k message part | | | |]; try contradiction;
        destruct (Nat.eqb_spec i k) as [<- |]; try contradiction.
      + destruct hit as [<- | []]. now left.
      + right. now exists message, part.
    - intros [found | (message & part & found & hit)]; eexists; (split; [exact found |]); cbn; rewrite Nat.eqb_refl;
        [now left | exact hit].
  Qed.

  Lemma full_round_is_a_quiet_round : forall s participants,
    round s participants (full_round s participants) /\ quiet s participants (full_round s participants)
    /\ nothing_made (full_round s participants) /\ forall i, stays_up i (full_round s participants).
  Proof.
    intros s participants.
    assert (forall i, stays_up i (full_round s participants)) as up.
    { intros i. split; [| intros copy]; intros found;
        apply in_full_round in found as [(? & _ & wrong) | (? & ? & _ & _ & wrong)]; discriminate. }
    repeat split; try apply up.
    - intros j member differ o held. apply in_received. right. exists (memory s j), (memory s j).
      split; [| exact held]. unfold full_round. apply in_app_iff. right. apply in_flat_map. exists i.
      split; [assumption |]. apply in_map_iff. now exists j.
    - intros i member o found. apply in_received in found as [found | (message & part & found & hit)];
        apply in_full_round in found as [(? & _ & wrong) | (k & j & _ & member' & equal)]; try discriminate.
      injection equal as <- -> ->. apply in_pool. now exists j.
    - intros i o found. apply in_full_round in found as [(? & _ & wrong) | (? & ? & _ & _ & wrong)]; discriminate.
  Qed.

  Lemma full_round_runs : forall s participants, exists t, run s (full_round s participants) t.
  Proof.
    intros s participants. destruct (all_send_runs participants s) as (t & sent & _ & there).
    destruct (deliveries_run (flat_map (deliveries s participants) participants) t) as [u ran].
    - intros e found. apply in_flat_map in found as [i [member found]]. apply in_map_iff in found as [j [<- member']].
      exists i, (memory s j). split; [reflexivity |]. apply there. now apply in_map.
    - exists u. now apply run_append with t.
  Qed.
End Networks.
