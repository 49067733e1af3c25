(** A revoke that keeps all that counts changes nothing where it is made. *)

From Coq Require Import List Bool.
From MergeAlgebra.Definitions Require Import OperationSet Policy.
From MergeAlgebra.Lemmas Require Import Ascending Joins Policies PolicyRulings PolicyRemoves.
Import ListNotations.

Section PolicyRevoking.
  Context {w : workspace} (a : authority w).
  Implicit Types s t : state_over (entry a).
  Implicit Types e x : entry a.

  Lemma a_revoke_that_keeps_all : forall s r keeps_of_r named said,
    action r = Revoke named said -> ~ In (entry_id a r) (map (entry_id a) s) ->
    (forall k, In k keeps_of_r -> exists kept said', action k = Keep (entry_id a r) kept said') ->
    (forall e g, In e s -> effective a s e = true -> by_maintainer a e = false -> under e = Some g -> In g named ->
       exists k, In k keeps_of_r /\ keeps a k (entry_id a r) (entry_id a e) = true) ->
    visible a (join s (r :: keeps_of_r)) = visible a s.
  Proof.
    intros s r ks named said what fresh are_keeps all.
    assert (forall e, In e s -> effective a s e = true -> effective a (join s (r :: ks)) e = true) as kept_up.
    { intros e found counts. destruct (by_maintainer a e) eqn:maintained.
      { now rewrite revokes_do_not_touch_maintainers. }
      apply (effective_with a s); [apply join_inflationary | | exact counts].
      intros x g there under_g hit. apply in_join in there as [there | [<- | there]]; [now left | right |].
      - unfold revokes in hit. rewrite what, andb_true_iff, existsb_equal_iff in hit.
        destruct (all e g found counts maintained under_g (proj2 hit)) as (k & member & holds). exists k.
        split; [| exact holds]. apply in_join. right. now right.
      - destruct (are_keeps x there) as (kept' & said' & is_keep). unfold revokes in hit. now rewrite is_keep in hit. }
    assert (forall e, effective a (join s (r :: ks)) e = true -> effective a s e = true) as no_more.
    { intros e. unfold effective. rewrite !andb_true_iff. intros [allowed rest]. split; [| exact rest].
      unfold admissible in *. destruct (maintainers a) as [keys |]; [| exact allowed].
      apply orb_true_iff in allowed as [maintained | allowed]; apply orb_true_iff; [now left | right].
      rewrite permitted_spelled_out in *.
      destruct allowed as (sound & l & g & by_l & under_g & (x & found & id_g & to) & free).
      split; [exact sound |]. exists l, g. repeat split; try assumption.
      - exists x. apply in_join in found as [found | [<- | found]]; [now split | |]; unfold grants in to.
        + now rewrite what in to.
        + destruct (are_keeps x found) as (kept' & said' & is_keep). now rewrite is_keep in to.
      - intros x' there hit. destruct (free x' (proj2 (in_join _ _ _) (or_introl there)) hit) as (k & held & holds).
        exists k. split; [| exact holds]. apply in_join in held as [held | [<- | held]]; [exact held | |].
        + unfold keeps in holds. now rewrite what in holds.
        + exfalso. destruct (are_keeps k held) as (kept' & said' & is_keep). unfold keeps in holds.
          rewrite is_keep, !andb_true_iff, equal_iff in holds. destruct holds as [[_ same_id] _].
          apply fresh. rewrite same_id. now apply in_map. }
    apply visible_of_standing. intros e. rewrite !in_standing.
    assert (forall x, In x (r :: ks) -> (exists m n q, action x = Data (Add m n q)) -> False) as no_add.
    { intros x [<- | member] (m & n & q & an_add); [congruence |].
      destruct (are_keeps x member) as (kept' & said' & is_keep). congruence. }
    assert (forall x y, In x (r :: ks) -> removes a x y = false) as no_remove.
    { intros x y member. apply not_true_iff_false. intros acts.
      destruct (only_removes_remove a x y acts) as (n & q & wrong).
      destruct member as [<- | member]; [congruence |].
      destruct (are_keeps x member) as (kept' & said' & is_keep). congruence. }
    split; intros (an_add & found & counts & left); (split; [exact an_add |]).
    - apply in_join in found as [found | found]; [| now elim (no_add e found)].
      repeat split; [exact found | now apply no_more |].
      intros x there sound. apply left; [apply in_join; now left | now apply kept_up].
    - repeat split; [apply in_join; now left | now apply kept_up |].
      intros x there sound.
      apply in_join in there as [there | there]; [apply left; [exact there | now apply no_more] |].
      now apply no_remove.
  Qed.

  Lemma in_done_by : forall s l i, In i (done_by a s l) <-> exists e, In e s /\ author a e = Some l /\ entry_id a e = i.
  Proof.
    intros s l i. unfold done_by, by_key. rewrite in_map_iff. split.
    - intros (e & <- & found). apply filter_In in found as [found own]. exists e.
      destruct (author a e) as [l' |]; [| discriminate]. apply equal_iff in own as ->. auto.
    - intros (e & found & own & <-). exists e. split; [reflexivity |]. apply filter_In. split; [exact found |].
      rewrite own. now apply equal_iff.
  Qed.

  Lemma in_grants_to : forall s l i,
    In i (grants_to a s l) <-> exists g, In g s /\ grants a g l = true /\ entry_id a g = i.
  Proof.
    intros s l i. unfold grants_to. rewrite in_map_iff. split.
    - intros (g & <- & found). apply filter_In in found. now exists g.
    - intros (g & found & to & <-). exists g. split; [reflexivity |]. now apply filter_In.
  Qed.
  Lemma revoking_a_key : forall s l r keeps_of_r said,
    ids_told_apart a s -> action r = Revoke (grants_to a s l) said -> ~ In (entry_id a r) (map (entry_id a) s) ->
    (forall k, In k keeps_of_r ->
       by_maintainer a k = true /\ exists kept said', action k = Keep (entry_id a r) kept said') ->
    (forall i, In i (done_by a s l) ->
       exists k kept said', In k keeps_of_r /\ action k = Keep (entry_id a r) kept said' /\ In i kept) ->
    visible a (join s (r :: keeps_of_r)) = visible a s.
  Proof.
    intros s l r ks said apart what fresh are_keeps all.
    apply a_revoke_that_keeps_all with (grants_to a s l) said; try assumption.
    - intros k member. now apply are_keeps.
    - intros e g found counts writer under_g hit.
      assert (author a e = Some l) as own.
      { unfold effective, admissible in counts. rewrite writer in counts.
        destruct (maintainers a) as [keys |] eqn:some.
        - cbn in counts. apply andb_true_iff in counts as [allowed _].
          apply permitted_spelled_out in allowed as (_ & l' & g' & by_l' & under_g' & (x & held & id_x & to) & _).
          rewrite under_g in under_g'. injection under_g' as <-.
          apply in_grants_to in hit as (y & held' & to' & id_y).
          rewrite (apart y x held' held) in to' by congruence.
          unfold grants in to, to'. destruct (action x); try discriminate.
          apply andb_true_iff in to as [_ to], to' as [_ to']. apply equal_iff in to, to'. congruence.
        - unfold by_nobody in counts. rewrite under_g in counts. now destruct (signed e). }
      destruct (all (entry_id a e)) as (k & kept & said' & member & is_keep & named_it).
      { apply in_done_by. now exists e. }
      exists k. split; [exact member |]. destruct (are_keeps k member) as [maintained _].
      unfold keeps. rewrite is_keep, maintained, !andb_true_iff, equal_iff, existsb_equal_iff. auto.
  Qed.
End PolicyRevoking.
