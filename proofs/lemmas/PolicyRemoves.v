(** What adds and removes change. *)

From Coq Require Import List Bool.
From MergeAlgebra.Definitions Require Import OperationSet Policy.
From MergeAlgebra.Lemmas Require Import Ascending Joins Policies PolicyRulings.
Import ListNotations.

Section PolicyRemoves.
  Context {w : workspace} (a : authority w).
  Implicit Types s t : state_over (entry a).
  Implicit Types e x : entry a.

  Lemma same_author_iff : forall e x, same_author a e x = true <-> author a e = author a x.
  Proof.
    intros e x. unfold same_author. destruct (author a e) as [l |], (author a x) as [l' |];
      try (split; congruence). rewrite equal_iff. split; [now intros -> | now intros [= ->]].
  Qed.

  Lemma removes_iff : forall r e named said, action r = Data (Remove named said) ->
    removes a r e = true <->
    In (entry_id a e) named /\ (by_maintainer a r = true \/ author a e = author a r).
  Proof.
    intros r e named said what. unfold removes, names. rewrite what. cbn.
    rewrite andb_true_iff, orb_true_iff, existsb_equal_iff, same_author_iff. intuition.
  Qed.

  Lemma only_removes_remove : forall r e,
    removes a r e = true -> exists named said, action r = Data (Remove named said).
  Proof.
    intros r e hit. unfold removes, names in hit. destruct (action r) as [[| named said |] | | | |]; try discriminate.
    now exists named, said.
  Qed.

  Lemma visible_iff : forall s c,
    In c (visible a s) <->
    exists e m n r, In e s /\ action e = Data (Add m n r) /\ contribution_id m = c /\ effective a s e = true
      /\ forall x named said, In x s -> action x = Data (Remove named said) -> effective a s x = true ->
           In (entry_id a e) named -> by_maintainer a x = false /\ author a e <> author a x.
  Proof.
    intros s c. rewrite in_visible. split.
    - intros (e & m & n & r & found & what & hit). apply in_standing in found as (_ & found & counts & left).
      exists e, m, n, r. split; [exact found |]. split; [exact what |]. split; [exact hit |]. split; [exact counts |].
      intros x named said there is_remove sound named_it.
      pose proof (left x there sound) as missed. apply not_true_iff_false in missed.
      rewrite (removes_iff x e named said is_remove) in missed. split; [apply not_true_iff_false |]; tauto.
    - intros (e & m & n & r & found & what & hit & counts & left). exists e, m, n, r. repeat split; try assumption.
      apply in_standing. split; [now exists m, n, r |]. repeat split; try assumption.
      intros x there sound. apply not_true_iff_false. intros acts.
      destruct (only_removes_remove x e acts) as (named & said & is_remove).
      rewrite (removes_iff x e named said is_remove) in acts. destruct acts as [named_it allowed].
      destruct (left x named said there is_remove sound named_it). destruct allowed; congruence.
  Qed.

  (** ** Adding *)

  Lemma adding_data : forall s x o e, action x = Data o -> e <> x ->
    In e (standing a (join s [x])) <-> In e (standing a s) /\ (effective a s x = true -> removes a x e = false).
  Proof.
    intros s x o e what other. rewrite !in_standing. pose proof (data_rules_nothing a s x o what) as as_before. split.
    - intros (an_add & found & counts & left). rewrite as_before in counts. split.
      + split; [exact an_add |]. repeat split; [| exact counts |].
        * apply in_join in found as [found | [<- | []]]; [exact found | now elim other].
        * intros r there sound. apply left; [apply in_join; now left | now rewrite as_before].
      + intros sound. apply left; [apply in_join; right; now left | now rewrite as_before].
    - intros [(an_add & found & counts & left) missed]. split; [exact an_add |]. repeat split.
      + apply in_join. now left.
      + now rewrite as_before.
      + intros r there sound. rewrite as_before in sound.
        apply in_join in there as [there | [<- | []]]; [now apply left | now apply missed].
  Qed.

  Lemma adding_a_remove : forall s x named said e, action x = Data (Remove named said) ->
    In e (standing a (join s [x])) <-> In e (standing a s) /\ (effective a s x = true -> removes a x e = false).
  Proof.
    intros s x named said e what.
    assert (In x (standing a s) -> False) as no_add.
    { intros found. apply in_standing in found as ((m & n & r & an_add) & _). congruence. }
    assert (In x (standing a (join s [x])) -> False) as no_add'.
    { intros found. apply in_standing in found as ((m & n & r & an_add) & _). congruence. }
    split.
    - intros found. apply (adding_data s x _ e what); [| exact found]. intros ->. now apply no_add'.
    - intros both. apply (adding_data s x _ e what); [| exact both]. intros ->. now apply no_add.
  Qed.

  Lemma a_writers_remove : forall s x named said e,
    action x = Data (Remove named said) -> by_maintainer a x = false -> effective a s x = true ->
    In e (standing a (join s [x])) <->
    In e (standing a s) /\ ~ (In (entry_id a e) named /\ author a e = author a x).
  Proof.
    intros s x named said e what writer sound. rewrite (adding_a_remove s x named said e what).
    pose proof (removes_iff x e named said what) as acts. rewrite writer in acts.
    destruct (removes a x e); intuition congruence.
  Qed.

  Lemma a_maintainers_remove : forall s x named said e,
    action x = Data (Remove named said) -> by_maintainer a x = true ->
    In e (standing a (join s [x])) <-> In e (standing a s) /\ ~ In (entry_id a e) named.
  Proof.
    intros s x named said e what maintained. rewrite (adding_a_remove s x named said e what).
    rewrite (maintained_data_counts a s x _ maintained what). cbn.
    pose proof (removes_iff x e named said what) as acts. rewrite maintained in acts.
    destruct (removes a x e); intuition congruence.
  Qed.

  Lemma writers_touch_only_their_own : forall s x e,
    by_maintainer a x = false -> author a e <> author a x ->
    In e (standing a (join s [x])) <-> In e (standing a s).
  Proof.
    intros s x e writer other. rewrite !in_standing.
    assert (forall y, effective a (join s [x]) y = effective a s y) as as_before
      by (intros y; now apply only_maintainers_rule).
    split; intros (an_add & found & counts & left); (split; [exact an_add |]); rewrite as_before in *;
      (repeat split; [| exact counts |]).
    - apply in_join in found as [found | [<- | []]]; [exact found | now elim other].
    - intros r there sound. apply left; [apply in_join; now left | now rewrite as_before].
    - apply in_join. now left.
    - intros r there sound. rewrite as_before in sound.
      apply in_join in there as [there | [<- | []]]; [now apply left |].
      apply not_true_iff_false. intros acts. destruct (only_removes_remove x e acts) as (named & said & what).
      rewrite (removes_iff x e named said what) in acts. destruct acts as [_ [maintained | own]]; congruence.
  Qed.

  Lemma removes_work_before_their_adds : forall s t x named said e,
    In x s -> within s t -> action x = Data (Remove named said) -> effective a t x = true ->
    In (entry_id a e) named -> by_maintainer a x = true \/ author a e = author a x -> ~ In e (standing a t).
  Proof.
    intros s t x named said e held more what sound hit allowed found.
    apply in_standing in found as (_ & _ & _ & left). pose proof (left x (more x held) sound) as missed.
    apply not_true_iff_false in missed. apply missed. now apply (removes_iff x e named said what).
  Qed.

  Lemma attests_hide_nothing : forall s x merge root said,
    action x = Data (Attest merge root said) -> visible a (join s [x]) = visible a s.
  Proof.
    intros s x merge root said what. apply visible_of_standing. intros e.
    assert (forall t, ~ In x (standing a t)) as no_add.
    { intros t found. apply in_standing in found as ((m & n & r & an_add) & _). congruence. }
    assert (removes a x e = false) as harmless.
    { apply not_true_iff_false. intros acts. destruct (only_removes_remove x e acts) as (named & said' & wrong).
      congruence. }
    split.
    - intros found. apply (adding_data s x _ e what) in found; [tauto |]. intros ->. now apply no_add in found.
    - intros found. apply (adding_data s x _ e what); [| tauto]. intros ->. now apply no_add in found.
  Qed.
End PolicyRemoves.
