(** What counts under a policy, and that what does not count decides nothing. *)

From Coq Require Import List Bool.
From MergeAlgebra.Definitions Require Import OperationSet Policy.
From MergeAlgebra.Lemmas Require Import Ascending Joins.
Import ListNotations.

(** A boolean is what decides it. *)
Lemma equal_when_both : forall b c : bool, (b = true <-> c = true) -> b = c.
Proof. intros [] [] both; intuition congruence. Qed.

Section Policies.
  Context {w : workspace} (a : authority w).
  Implicit Types s t : state_over (entry a).
  Implicit Types e x : entry a.

  Lemma granted_iff : forall s i k,
    granted a s i k = true <-> exists g, In g s /\ entry_id a g = i /\ grants a g k = true.
  Proof.
    intros s i k. unfold granted. rewrite existsb_exists. split; intros (g & found & hit); exists g.
    - apply andb_true_iff in hit as [named to]. now apply equal_iff in named.
    - destruct hit as [<- to]. rewrite to, andb_true_r. split; [exact found | now apply equal_iff].
  Qed.

  Lemma kept_iff : forall s r i, kept a s r i = true <-> exists k, In k s /\ keeps a k r i = true.
  Proof. intros s r i. unfold kept. apply existsb_exists. Qed.

  Lemma kept_by_all_iff : forall s g i,
    kept_by_all a s g i = true <->
    forall r, In r s -> revokes a r g = true -> exists k, In k s /\ keeps a k (entry_id a r) i = true.
  Proof.
    intros s g i. unfold kept_by_all. rewrite forallb_forall. split; intros all r found.
    - intros hit. apply kept_iff. specialize (all r found). now rewrite hit in all.
    - destruct (revokes a r g) eqn:hit; [| reflexivity]. now apply kept_iff, all.
  Qed.

  Lemma permitted_iff : forall s e,
    permitted a s e = true <->
    exists k g, author a e = Some k /\ under e = Some g /\ genuine a e = true
      /\ granted a s g k = true /\ kept_by_all a s g (entry_id a e) = true.
  Proof.
    intros s e. unfold permitted. destruct (author a e) as [k |], (under e) as [g |].
    2-4: (split; [discriminate | intros (? & ? & ? & ? & ?); discriminate]).
    rewrite !andb_true_iff. split.
    - intros [[sound to] free]. now exists k, g.
    - intros (k' & g' & [= <-] & [= <-] & sound & to & free). auto.
  Qed.

  (** ** What rules: grants, revokes and keeps of maintainers *)

  Definition rules e : bool :=
    match action e with Grant _ _ _ | Revoke _ _ | Keep _ _ _ => by_maintainer a e | _ => false end.

  Lemma grants_rule : forall e k, grants a e k = true -> rules e = true.
  Proof. intros e k. unfold grants, rules. destruct (action e); try discriminate. now intros [? _]%andb_true_iff. Qed.

  Lemma revokes_rule : forall e i, revokes a e i = true -> rules e = true.
  Proof. intros e i. unfold revokes, rules. destruct (action e); try discriminate. now intros [? _]%andb_true_iff. Qed.

  Lemma keeps_rule : forall e r i, keeps a e r i = true -> rules e = true.
  Proof.
    intros e r i. unfold keeps, rules. destruct (action e); try discriminate. rewrite !andb_true_iff. tauto.
  Qed.

  Definition same_rulings s t : Prop := forall e, rules e = true -> In e s <-> In e t.

  Lemma same_rulings_symmetric : forall s t, same_rulings s t -> same_rulings t s.
  Proof. intros s t agree e ruling. symmetry. now apply agree. Qed.

  Lemma permitted_follows : forall s t e, same_rulings s t -> permitted a s e = true -> permitted a t e = true.
  Proof.
    intros s t e agree. rewrite !permitted_iff. intros (k & g & by_k & under_g & sound & to & free).
    exists k, g. repeat split; try assumption.
    - apply granted_iff in to as (grant & found & named & to). apply granted_iff. exists grant.
      split; [| now split]. apply agree; [now apply grants_rule in to | exact found].
    - rewrite kept_by_all_iff in *. intros r found hit.
      assert (In r s) as held by (apply agree; [now apply revokes_rule in hit | exact found]).
      destruct (free r held hit) as (keep & there & holds).
      exists keep. split; [| exact holds]. apply agree; [now apply keeps_rule in holds | exact there].
  Qed.

  Lemma admissible_follows : forall s t, same_rulings s t -> forall e, admissible a s e = admissible a t e.
  Proof.
    intros s t agree e. unfold admissible. destruct (maintainers a); [| reflexivity]. f_equal.
    apply equal_when_both. split; apply permitted_follows; [| apply same_rulings_symmetric]; exact agree.
  Qed.

  Lemma effective_follows : forall s t, same_rulings s t -> forall e, effective a s e = effective a t e.
  Proof. intros s t agree e. unfold effective. now rewrite (admissible_follows s t agree e). Qed.

  Lemma maintainers_are_admissible : forall s e, by_maintainer a e = true -> admissible a s e = true.
  Proof.
    intros s e maintained. unfold admissible. destruct (maintainers a) eqn:some; [now rewrite maintained |].
    unfold by_maintainer, maintains in maintained. rewrite some in maintained. now destruct (author a e).
  Qed.

  Lemma rulings_are_effective : forall s e, rules e = true -> effective a s e = true.
  Proof.
    intros s e ruling. unfold effective. unfold rules in ruling.
    destruct (action e); try discriminate; now rewrite ruling, maintainers_are_admissible.
  Qed.

  Lemma effective_is_admissible : forall s e, effective a s e = true -> admissible a s e = true.
  Proof. intros s e counts. now apply andb_true_iff in counts as [? _]. Qed.

  (** ** What is visible *)

  Lemma in_standing : forall s e,
    In e (standing a s) <->
    (exists m n r, action e = Data (Add m n r)) /\ In e s /\ effective a s e = true
    /\ forall r, In r s -> effective a s r = true -> removes a r e = false.
  Proof.
    intros s e. unfold standing. rewrite filter_In. unfold stands. split.
    - intros [found stood]. destruct (action e) as [[m n r | |] | | | |]; try discriminate.
      apply andb_true_iff in stood as [counts left]. apply negb_true_iff in left.
      split; [now exists m, n, r |]. repeat split; try assumption.
      intros x there sound. apply not_true_iff_false. intros hit.
      assert (removed a s e = true); [| congruence].
      apply existsb_exists. exists x. now rewrite sound, hit.
    - intros ((m & n & r & ->) & found & counts & left). split; [exact found |].
      rewrite counts. apply negb_true_iff, not_true_iff_false. unfold removed. rewrite existsb_exists.
      intros (x & there & hit). apply andb_true_iff in hit as [sound hit]. now rewrite left in hit.
  Qed.

  Lemma in_contributions : forall s c,
    In c (contributions a s) <->
    exists e m n r, In e s /\ action e = Data (Add m n r) /\ contribution_id m = c.
  Proof.
    intros s c. unfold contributions. rewrite in_flat_map. split.
    - intros (e & found & hit). destruct (action e) as [[m n r | |] | | | |] eqn:what; try contradiction.
      destruct hit as [<- | []]. now exists e, m, n, r.
    - intros (e & m & n & r & found & what & <-). exists e. rewrite what. cbn. auto.
  Qed.

  Lemma in_visible : forall s c,
    In c (visible a s) <->
    exists e m n r, In e (standing a s) /\ action e = Data (Add m n r) /\ contribution_id m = c.
  Proof. intros s c. unfold visible. rewrite in_ascending. apply in_contributions. Qed.

  Lemma visible_of_standing : forall s t, same (standing a s) (standing a t) -> visible a s = visible a t.
  Proof.
    intros s t agree. apply ascending_canonical. intros c. rewrite !in_contributions.
    split; intros (e & m & n & r & found & rest); exists e, m, n, r; (split; [now apply agree | exact rest]).
  Qed.

  (** What counts in one of two states is in both or in neither: then all is the same in both. *)
  Lemma what_counts_decides : forall s t,
    (forall e, effective a s e = true -> In e s <-> In e t) ->
    (forall e, effective a s e = effective a t e) /\ same (standing a s) (standing a t).
  Proof.
    intros s t agree.
    assert (forall e, effective a s e = effective a t e) as counts.
    { apply effective_follows. intros e ruling. now apply agree, rulings_are_effective. }
    split; [exact counts |]. intros e. rewrite !in_standing.
    split; intros (an_add & found & sound & left); (split; [exact an_add |]).
    - rewrite <- counts. repeat split; try assumption; [now apply agree |].
      intros r there hit. rewrite <- counts in hit. apply left; [now apply agree | exact hit].
    - rewrite counts. repeat split; try assumption; [apply agree; [now rewrite counts | exact found] |].
      intros r there hit. apply left; [now apply agree | now rewrite <- counts].
  Qed.

  Lemma visible_follows : forall s t,
    (forall e, effective a s e = true -> In e s <-> In e t) -> visible a s = visible a t.
  Proof. intros s t agree. now apply visible_of_standing, what_counts_decides. Qed.

  (** ** The same set, in whatever order *)

  Lemma same_set_same_admissible : forall s t, same s t -> forall e, admissible a s e = admissible a t e.
  Proof. intros s t agree. apply admissible_follows. intros e _. apply agree. Qed.

  Lemma same_set_same_effective : forall s t, same s t -> forall e, effective a s e = effective a t e.
  Proof. intros s t agree. apply effective_follows. intros e _. apply agree. Qed.

  Lemma same_set_same_visible : forall s t, same s t -> visible a s = visible a t.
  Proof. intros s t agree. apply visible_follows. intros e _. apply agree. Qed.

  Lemma any_order_of_arrival : forall (parts others : list (state_over (entry a))) s,
    same (concat parts) (concat others) ->
    visible a (fold_left join parts s) = visible a (fold_left join others s).
  Proof. intros parts others s agree. apply same_set_same_visible. now apply deliveries_are_a_set. Qed.

  (** ** What does not count *)

  Lemma idle_operations_change_nothing : forall s idle,
    (forall e, In e idle -> effective a (join s idle) e = false) ->
    visible a (join s idle) = visible a s /\ forall e, effective a (join s idle) e = effective a s e.
  Proof.
    intros s idle none.
    assert (forall e, effective a (join s idle) e = true -> In e (join s idle) <-> In e s) as agree.
    { intros e counts. rewrite in_join. split; [| now left]. intros [found | found]; [exact found |].
      now rewrite none in counts. }
    split; [now apply visible_follows | now apply what_counts_decides].
  Qed.

  Lemma the_rest_can_be_left_out : forall s t, (forall e, effective a s e = true -> In e s <-> In e t) ->
    visible a s = visible a t /\ forall e, effective a s e = effective a t e.
  Proof. intros s t agree. split; [now apply visible_follows | now apply what_counts_decides]. Qed.

  Lemma only_what_counts_matters : forall s, visible a (filter (effective a s) s) = visible a s.
  Proof.
    intros s. symmetry. apply visible_follows. intros e counts. rewrite filter_In. intuition.
  Qed.
End Policies.
