(** What is visible, and what changes it. *)

From Coq Require Import List Bool Sorting.Sorted.
From MergeAlgebra.Definitions Require Import OperationSet.
From MergeAlgebra.Lemmas Require Import Ascending Joins.
Import ListNotations.

Section Visibility.
  Context {w : workspace}.
  Implicit Types a b s t : state w.

  Lemma removed_iff : forall s i, removed s i = true <-> exists named r, In (Remove named r) s /\ In i named.
  Proof.
    intros s i. unfold removed. rewrite existsb_exists. split.
    - intros [o [found hit]]. apply andb_true_iff in hit as [_ hit].
      destruct o as [m n r | named r | c root r]; cbn in hit; try discriminate.
      exists named, r. split; [exact found | now apply existsb_equal_iff].
    - intros [named [r [found hit]]]. exists (Remove named r). split; [exact found |].
      cbn. now apply existsb_equal_iff.
  Qed.

  Lemma in_standing : forall s o,
    In o (standing s) <->
    exists m n r, o = Add m n r /\ In o s /\ base_of m = base w
      /\ forall named said, In (Remove named said) s -> ~ In (operation_id o) named.
  Proof.
    intros s o. unfold standing. rewrite filter_In. split.
    - intros [found standing]. destruct o as [m n r | |]; try discriminate. exists m, n, r.
      cbn in standing. apply andb_true_iff in standing as [ours kept].
      apply equal_iff in ours. apply negb_true_iff in kept.
      repeat split; try assumption. intros named said remove hit.
      assert (removed s (operation_id (Add m n r)) = true) by (apply removed_iff; eauto). congruence.
    - intros (m & n & r & -> & found & ours & kept). split; [exact found |]. cbn.
      apply andb_true_iff. split; [now apply equal_iff |]. apply negb_true_iff.
      apply not_true_iff_false. rewrite removed_iff. intros (named & said & remove & hit). now apply (kept named said).
  Qed.

  Lemma in_contributions : forall s c,
    In c (contributions s) <-> exists m n r, In (Add m n r) s /\ contribution_id m = c.
  Proof.
    intros s c. unfold contributions. rewrite in_flat_map. split.
    - intros [[m n r | |] [found hit]]; cbn in hit; try contradiction.
      destruct hit as [hit | []]. now exists m, n, r.
    - intros (m & n & r & found & <-). exists (Add m n r). cbn. auto.
  Qed.

  Lemma visible_iff : forall s c,
    In c (visible s) <->
    exists m n r, In (Add m n r) s /\ contribution_id m = c /\ base_of m = base w
      /\ forall named said, In (Remove named said) s -> ~ In (operation_id (Add m n r)) named.
  Proof.
    intros s c. unfold visible. rewrite in_ascending, in_contributions. split.
    - intros (m & n & r & found & <-). exists m, n, r.
      apply in_standing in found as (m' & n' & r' & equal & found & rest).
      injection equal as <- <- <-. tauto.
    - intros (m & n & r & found & <- & ours & kept). exists m, n, r. split; [| reflexivity].
      apply in_standing. exists m, n, r. auto.
  Qed.

  Lemma standing_respects_same : forall a b, same a b -> same (standing a) (standing b).
  Proof.
    intros a b equal o. rewrite !in_standing.
    split; intros (m & n & r & -> & found & ours & kept); exists m, n, r; repeat split; try assumption;
      try (now apply equal); intros named said remove; apply (kept named said); now apply equal.
  Qed.

  Lemma visible_respects_same : forall a b, same a b -> visible a = visible b.
  Proof.
    intros a b equal. apply ascending_canonical. intros c. rewrite !in_contributions.
    split; intros (m & n & r & found & hit); exists m, n, r; split; try assumption;
      now apply (standing_respects_same a b equal).
  Qed.

  Lemma attestations_respect_same : forall a b c, same a b -> attestations a c = attestations b c.
  Proof.
    intros a b c equal. apply ascending_canonical. intros root. rewrite !in_flat_map.
    split; intros [o [found hit]]; exists o; split; try assumption; now apply equal.
  Qed.

  Lemma shows_respects_same : forall a b m, same a b -> shows a m <-> shows b m.
  Proof.
    intros a b m equal. unfold shows.
    split; intros (n & r & found); exists n, r; now apply (standing_respects_same a b equal).
  Qed.

  Lemma any_function_agrees : forall (A : Type) (f : state w -> A),
    (forall a b, visible a = visible b -> f a = f b) -> forall a b, same a b -> f a = f b.
  Proof. intros A f respects a b equal. now apply respects, visible_respects_same. Qed.

  Lemma merge_input_respects_same : forall a b, same a b -> merge_input a = merge_input b.
  Proof. intros a b equal. unfold merge_input. now rewrite (visible_respects_same a b equal). Qed.

  Lemma merge_ids_tell : forall (digest : Type) (hash : id w * id w * list (id w) -> digest) a b,
    (hash (merge_input a) = hash (merge_input b) -> merge_input a = merge_input b) ->
    hash (merge_input a) = hash (merge_input b) <-> visible a = visible b.
  Proof.
    intros digest hash a b free. split.
    - intros equal. apply free in equal. unfold merge_input in equal. now injection equal.
    - intros equal. unfold merge_input. now rewrite equal.
  Qed.

  (** Adding and removing *)

  Lemma fresh_add_is_visible : forall s m n r,
    base_of m = base w ->
    (forall named said, In (Remove named said) s -> ~ In (operation_id (Add m n r)) named) ->
    In (contribution_id m) (visible (join s [Add m n r])).
  Proof.
    intros s m n r ours kept. apply visible_iff. exists m, n, r. repeat split; try assumption.
    - apply in_join. right. now left.
    - intros named said found. apply in_join in found as [found | [found | []]];
        [now apply (kept named said) | discriminate].
  Qed.

  Lemma new_add_is_visible : forall s universe m n r,
    within s universe -> collision_free (Add m n r :: universe) -> ~ In (Add m n r) universe ->
    (forall named said, In (Remove named said) universe ->
       forall i, In i named -> exists o, In o universe /\ operation_id o = i) ->
    base_of m = base w -> In (contribution_id m) (visible (join s [Add m n r])).
  Proof.
    intros s universe m n r all free new observed ours. apply fresh_add_is_visible; [exact ours |].
    intros named said found hit.
    destruct (observed named said (all _ found) _ hit) as [o [held equal]].
    apply new. rewrite <- (free o (Add m n r)); [exact held | now right | now left | exact equal].
  Qed.

  Lemma foreign_add_changes_nothing : forall s m n r,
    base_of m <> base w -> visible (join s [Add m n r]) = visible s.
  Proof.
    intros s m n r foreign. apply ascending_canonical. intros c. rewrite !in_contributions.
    split; intros (m' & n' & r' & found & hit); exists m', n', r'; (split; [| exact hit]); apply in_standing;
      apply in_standing in found as (m'' & n'' & r'' & same_add & found & ours & kept);
      injection same_add as <- <- <-; exists m', n', r'; repeat split; try assumption.
    - apply in_join in found as [found | [found | []]]; [exact found |].
      injection found as <- <- <-. contradiction.
    - intros named said remove. apply (kept named said), in_join. now left.
    - apply in_join. now left.
    - intros named said remove. apply in_join in remove as [remove | [remove | []]];
        [now apply (kept named said) | discriminate].
  Qed.

  Lemma attest_changes_nothing : forall s c root r, visible (join s [Attest c root r]) = visible s.
  Proof.
    intros s c root r. apply ascending_canonical. intros x. rewrite !in_contributions.
    split; intros (m & n & r' & found & hit); exists m, n, r'; (split; [| exact hit]); apply in_standing;
      apply in_standing in found as (m' & n' & r'' & same_add & found & ours & kept);
      injection same_add as <- <- <-; exists m, n, r'; repeat split; try assumption.
    - apply in_join in found as [found | [found | []]]; [exact found | discriminate].
    - intros named said remove. apply (kept named said), in_join. now left.
    - apply in_join. now left.
    - intros named said remove. apply in_join in remove as [remove | [remove | []]];
        [now apply (kept named said) | discriminate].
  Qed.

  Lemma remove_works_before_its_add : forall s t named said o,
    In (Remove named said) s -> In (operation_id o) named -> within s t -> ~ In o (standing t).
  Proof.
    intros s t named said o found hit all standing. apply in_standing in standing as (_ & _ & _ & _ & _ & _ & kept).
    now apply (kept named said); [apply all |].
  Qed.

  Lemma remove_acts_on_what_it_names : forall s named said o,
    In o (standing (join s [Remove named said])) <-> In o (standing s) /\ ~ In (operation_id o) named.
  Proof.
    intros s named said o. rewrite !in_standing. split.
    - intros (m & n & r & -> & found & ours & kept). split.
      + exists m, n, r. repeat split; try assumption.
        * apply in_join in found as [found | [found | []]]; [exact found | discriminate].
        * intros named' said' remove. apply (kept named' said'), in_join. now left.
      + apply (kept named said), in_join. right. now left.
    - intros [(m & n & r & -> & found & ours & kept) missed]. exists m, n, r. repeat split; try assumption.
      + apply in_join. now left.
      + intros named' said' remove. apply in_join in remove as [remove | [remove | []]];
        [now apply (kept named' said') |].
        injection remove as <- <-. exact missed.
  Qed.

  (** Retracting *)

  Definition observed s c := map operation_id (filter (adds_it c) (standing s)).

  Lemma in_observed : forall s c i,
    In i (observed s c) <-> exists m n r,
      In (Add m n r) (standing s) /\ contribution_id m = c /\ operation_id (Add m n r) = i.
  Proof.
    intros s c i. unfold observed. rewrite in_map_iff. split.
    - intros [o [equal found]]. apply filter_In in found as [found hit].
      destruct o as [m n r | |]; try discriminate. exists m, n, r. repeat split; try assumption. now apply equal_iff.
    - intros (m & n & r & found & hit & equal). exists (Add m n r). split; [exact equal |].
      apply filter_In. split; [exact found | now apply equal_iff].
  Qed.

  Lemma retract_names : forall s c r, retract s c r = Some (Remove (ascending (observed s c)) r) \/
    (retract s c r = None /\ observed s c = []).
  Proof.
    intros s c r. unfold retract. fold (observed s c).
    destruct (ascending (observed s c)) as [| i rest] eqn:names; [right | now left].
    split; [reflexivity |]. destruct (observed s c) as [| i rest]; [reflexivity |].
    exfalso. assert (In i []) as []. rewrite <- names. apply in_ascending. now left.
  Qed.

  Lemma observed_iff_visible : forall s c, observed s c <> [] <-> In c (visible s).
  Proof.
    intros s c. unfold visible. rewrite in_ascending, in_contributions. split.
    - intros some. destruct (observed s c) as [| i rest] eqn:names; [contradiction |].
      assert (In i (observed s c)) as found by (rewrite names; now left).
      apply in_observed in found as (m & n & r & found & hit & _). now exists m, n, r.
    - intros (m & n & r & found & hit) none.
      assert (In (operation_id (Add m n r)) (observed s c)) as named by (apply in_observed; now exists m, n, r).
      rewrite none in named. contradiction.
  Qed.

  Lemma retract_needs_visible : forall s c r, retract s c r = None <-> ~ In c (visible s).
  Proof.
    intros s c r. rewrite <- observed_iff_visible. unfold retract. fold (observed s c). split.
    - intros none some. apply some. destruct (retract_names s c r) as [made | [_ empty]]; [| exact empty].
      unfold retract in made. fold (observed s c) in made. congruence.
    - intros none. destruct (observed s c); [reflexivity |]. exfalso. apply none. discriminate.
  Qed.

  Lemma retract_spec : forall s c r o, retract s c r = Some o ->
    o = Remove (ascending (observed s c)) r.
  Proof.
    intros s c r o made. destruct (retract_names s c r) as [found | [found _]]; congruence.
  Qed.

  Lemma retract_names_what_stands : forall s c r o, retract s c r = Some o ->
    exists named, o = Remove named r /\ named <> [] /\
      forall i, In i named <-> exists m n said, In (Add m n said) (standing s) /\ contribution_id m = c
                                                /\ operation_id (Add m n said) = i.
  Proof.
    intros s c r o made. exists (ascending (observed s c)). split; [now apply retract_spec |]. split.
    - intros empty. unfold retract in made. fold (observed s c) in made. rewrite empty in made. discriminate.
    - intros i. rewrite in_ascending. apply in_observed.
  Qed.

  Lemma retract_takes_back_that_one : forall s c r o, collision_free s -> retract s c r = Some o ->
    forall x, In x (visible (join s [o])) <-> In x (visible s) /\ x <> c.
  Proof.
    intros s c r o free made x. rewrite (retract_spec _ _ _ _ made).
    unfold visible. rewrite !in_ascending, !in_contributions. split.
    - intros (m & n & said & found & <-). apply remove_acts_on_what_it_names in found as [found missed].
      rewrite in_ascending, in_observed in missed. split.
      + now exists m, n, said.
      + intros hit. apply missed. now exists m, n, said.
    - intros [(m & n & said & found & <-) other]. exists m, n, said. split; [| reflexivity].
      apply remove_acts_on_what_it_names. split; [exact found |]. rewrite in_ascending, in_observed.
      intros (m' & n' & said' & found' & hit & equal). apply other.
      apply filter_In in found as [found _]. apply filter_In in found' as [found' _].
      pose proof (free _ _ found' found equal) as identical. injection identical as -> _ _. exact hit.
  Qed.

  Lemma add_wins_over_a_concurrent_remove : forall s t c r o m n said,
    retract s c r = Some o -> In (Add m n said) (standing t) -> ~ In (Add m n said) s ->
    collision_free (join s t) -> contribution_id m = c ->
    In c (visible (join t [o])).
  Proof.
    intros s t c r o m n said made found unseen free hit. rewrite (retract_spec _ _ _ _ made).
    unfold visible. rewrite in_ascending, in_contributions. exists m, n, said. split; [| exact hit].
    apply remove_acts_on_what_it_names. split; [exact found |]. rewrite in_ascending, in_observed.
    intros (m' & n' & said' & found' & _ & equal). apply unseen.
    rewrite (free (Add m n said) (Add m' n' said')).
    - now apply filter_In in found'.
    - apply in_join. right. now apply filter_In in found.
    - apply in_join. left. now apply filter_In in found'.
    - now symmetry.
  Qed.

  Lemma visible_ascends : forall s, StronglySorted (fun x y => precedes x y = true /\ x <> y) (visible s).
  Proof. intros s. apply ascending_ascends. Qed.

  Lemma attested_iff : forall s c root, In root (attestations s c) <-> exists said, In (Attest c root said) s.
  Proof.
    intros s c root. unfold attestations. rewrite in_ascending, in_flat_map. split.
    - intros [[| | c' root' said] [found hit]]; try contradiction. exists said.
      destruct (equal_decides c' c) as [<- |]; [| contradiction]. destruct hit as [<- | []]. exact found.
    - intros [said found]. exists (Attest c root said). split; [exact found |].
      destruct (equal_decides c c); [now left | contradiction].
  Qed.

  Lemma shows_iff_visible : forall s c, In c (visible s) <-> exists m, shows s m /\ contribution_id m = c.
  Proof.
    intros s c. unfold visible, shows. rewrite in_ascending, in_contributions. firstorder.
  Qed.

  Lemma one_id_one_manifest : forall a b m m',
    manifests_told_apart (join a b) -> shows a m -> shows b m' -> contribution_id m = contribution_id m' -> m = m'.
  Proof.
    intros a b m m' apart (n & r & found) (n' & r' & found') equal.
    apply (apart m n r m' n' r'); [| | exact equal]; apply in_join.
    - left. now apply filter_In in found.
    - right. now apply filter_In in found'.
  Qed.
End Visibility.
