(** What has to be relayed, and that replicas agree after it. *)

From Coq Require Import List Bool.
From MergeAlgebra.Definitions Require Import OperationSet Network Policy.
From MergeAlgebra.Lemmas Require Import Joins Networks Exchanges Policies PolicyRulings.
Import ListNotations.

Section PolicyRelays.
  Context {w : workspace} (a : authority w).
  Implicit Types s t : state_over (entry a).
  Implicit Types e : entry a.

  Lemma in_carried : forall s t e, In e (carried a s t) <-> In e s /\ admissible a (join s t) e = true.
  Proof. intros s t e. apply filter_In. Qed.

  Lemma admissible_of_join : forall s t e, admissible a (join s t) e = admissible a (join t s) e.
  Proof. intros s t e. apply same_set_same_admissible. apply join_commutative. Qed.

  Lemma admissible_after_sync : forall s t e, admissible a (join t (carried a s t)) e = admissible a (join s t) e.
  Proof.
    intros s t e. apply admissible_follows. intros x ruling. rewrite !in_join, in_carried. split; [tauto |].
    intros [found | found]; [right | now left]. split; [exact found |].
    now apply effective_is_admissible, rulings_are_effective.
  Qed.

  Lemma sync_shows_the_union : forall s t, visible a (join t (carried a s t)) = visible a (join s t).
  Proof.
    intros s t. symmetry. apply visible_follows. intros e counts. apply effective_is_admissible in counts.
    rewrite !in_join, in_carried. tauto.
  Qed.

  Lemma both_sides_have_the_same_admissible : forall s t,
    let left := join s (carried a t s) in let right := join t (carried a s t) in
    same (filter (admissible a left) left) (filter (admissible a right) right).
  Proof.
    intros s t left right e. rewrite !filter_In. unfold left, right.
    rewrite !admissible_after_sync, (admissible_of_join t s), !in_join, !in_carried, (admissible_of_join t s). tauto.
  Qed.

  Lemma synced_replicas_show_their_union : forall replicas s,
    all_synced a replicas -> In s replicas -> visible a s = visible a (concat replicas).
  Proof.
    intros replicas s synced member. symmetry. apply visible_follows. intros e counts. rewrite in_concat. split.
    - intros (t & member' & found). apply (synced t s member' member), in_carried. split; [exact found |].
      rewrite <- (admissible_follows a (concat replicas)); [now apply effective_is_admissible |].
      intros x ruling. rewrite in_concat, in_join. split.
      + intros (u & member'' & held). right. apply (synced u s member'' member), in_carried. split; [exact held |].
        now apply effective_is_admissible, rulings_are_effective.
      + intros [held | held]; [now exists t | now exists s].
    - intros found. now exists s.
  Qed.

  Lemma maintainers_first : forall s t e,
    admissible a (join s (filter (by_maintainer a) t)) e = admissible a (join s t) e.
  Proof.
    intros s t e. apply admissible_follows. intros x ruling. rewrite !in_join, filter_In.
    assert (by_maintainer a x = true) as maintained by (unfold rules in ruling; now destruct (action x)).
    tauto.
  Qed.

  (** ** Over a network *)

  Lemma same_received_same_answer : forall history history' (u v : system (entry a)) i j,
    run (initial (entry a)) history u -> run (initial (entry a)) history' v ->
    stays_up i history -> stays_up j history' ->
    same (received i history) (received j history') -> visible a (memory u i) = visible a (memory v j).
  Proof.
    intros history history' u v i j ran ran' up up' equal. apply same_set_same_visible.
    now apply (same_received_same_memory history history').
  Qed.

  Lemma all_agree_after_a_quiet_round : forall (u : system (entry a)) participants history v,
    run u history v -> round u participants history -> quiet u participants history ->
    forall i j, In i participants -> In j participants ->
      same (memory v i) (memory v j) /\ visible a (memory v i) = visible a (pool u participants).
  Proof.
    intros u participants history v ran through still i j member member'.
    destruct (all_hold_the_same_after_a_quiet_round u participants history v ran through still i j member member')
      as [each pooled].
    split; [exact each | now apply same_set_same_visible].
  Qed.
End PolicyRelays.
