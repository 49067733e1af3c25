(** Who counts, and what grants, revokes and keeps change of that. *)

From Coq Require Import List Bool.
From MergeAlgebra.Definitions Require Import OperationSet Policy.
From MergeAlgebra.Lemmas Require Import Ascending Joins Policies.
Import ListNotations.

Lemma forallb_extends : forall (A : Type) (f g : A -> bool) xs, (forall x, f x = g x) -> forallb f xs = forallb g xs.
Proof. intros A f g xs agree. induction xs as [| x xs IH]; cbn; [reflexivity | now rewrite agree, IH]. Qed.

Section PolicyRulings.
  Context {w : workspace} (a : authority w).
  Implicit Types s t : state_over (entry a).
  Implicit Types e x r k : entry a.

  (** ** Who counts *)

  Lemma maintained_iff : forall e keys, maintainers a = Some keys ->
    by_maintainer a e = true <-> exists l, author a e = Some l /\ In l keys /\ genuine a e = true.
  Proof.
    intros e keys some. unfold by_maintainer, maintains. rewrite some. destruct (author a e) as [l |].
    - rewrite andb_true_iff, existsb_equal_iff. split; [intros []; now exists l | now intros (? & [= <-] & ? & ?)].
    - split; [discriminate | intros (? & ? & _); discriminate].
  Qed.

  Lemma rulings_count_when_maintained : forall s e,
    (forall o, action e <> Data o) -> (forall said, action e <> Later said) ->
    effective a s e = by_maintainer a e.
  Proof.
    intros s e no_data no_later. unfold effective.
    destruct (by_maintainer a e) eqn:maintained.
    - rewrite maintainers_are_admissible by exact maintained.
      destruct (action e); try reflexivity; [now elim (no_data what) | now elim (no_later said)].
    - rewrite andb_comm. destruct (action e); try reflexivity. now elim (no_data what).
  Qed.

  Lemma maintained_data_counts : forall s e o,
    by_maintainer a e = true -> action e = Data o -> effective a s e = OperationSet.effective o.
  Proof.
    intros s e o maintained what. unfold effective. now rewrite maintainers_are_admissible, what.
  Qed.

  Lemma later_never_counts : forall s e said, action e = Later said -> effective a s e = false.
  Proof. intros s e said what. unfold effective. rewrite what. apply andb_false_r. Qed.

  Lemma writers_admissible : forall s e, is_signed a -> by_maintainer a e = false -> admissible a s e = permitted a s e.
  Proof.
    intros s e closed writer. unfold admissible.
    destruct (maintainers a) as [keys |] eqn:none; [now rewrite writer | now elim closed].
  Qed.

  Lemma writers_data_counts : forall s e o, is_signed a -> by_maintainer a e = false -> action e = Data o ->
    effective a s e = permitted a s e && OperationSet.effective o.
  Proof. intros s e o closed writer what. unfold effective. now rewrite writers_admissible, what. Qed.

  Lemma permitted_spelled_out : forall s e,
    permitted a s e = true <->
    genuine a e = true /\ exists l g, author a e = Some l /\ under e = Some g
      /\ (exists x, In x s /\ entry_id a x = g /\ grants a x l = true)
      /\ (forall r, In r s -> revokes a r g = true ->
            exists k, In k s /\ keeps a k (entry_id a r) (entry_id a e) = true).
  Proof.
    intros s e. rewrite permitted_iff. split.
    - intros (l & g & by_l & under_g & sound & to & free). split; [exact sound |]. exists l, g.
      repeat split; try assumption; [now apply granted_iff | now apply kept_by_all_iff].
    - intros (sound & l & g & by_l & under_g & to & free). exists l, g.
      repeat split; try assumption; [now apply granted_iff | now apply kept_by_all_iff].
  Qed.

  Lemma writers_count_iff : forall s e o, is_signed a -> by_maintainer a e = false -> action e = Data o ->
    effective a s e = true <->
    OperationSet.effective o = true /\ genuine a e = true /\ exists l g, author a e = Some l /\ under e = Some g
      /\ (exists x, In x s /\ entry_id a x = g /\ grants a x l = true)
      /\ (forall r, In r s -> revokes a r g = true ->
            exists k, In k s /\ keeps a k (entry_id a r) (entry_id a e) = true).
  Proof.
    intros s e o closed writer what.
    rewrite (writers_data_counts s e o closed writer what), andb_true_iff, permitted_spelled_out. tauto.
  Qed.

  Lemma forgeries_never_count : forall s e, is_signed a -> genuine a e = false -> effective a s e = false.
  Proof.
    intros s e closed forged. unfold effective.
    assert (by_maintainer a e = false) as writer.
    { unfold by_maintainer. destruct (author a e); [rewrite forged; apply andb_false_r | reflexivity]. }
    rewrite writers_admissible by assumption. unfold permitted. rewrite forged.
    now destruct (author a e), (under e).
  Qed.

  Lemma strangers_never_count : forall s e l, is_signed a -> author a e = Some l -> maintains a l = false ->
    (forall x, In x s -> grants a x l = false) -> effective a s e = false.
  Proof.
    intros s e l closed by_l stranger ungranted. unfold effective. rewrite writers_admissible; [| exact closed |].
    - apply andb_false_iff. left. apply not_true_iff_false. rewrite permitted_iff.
      intros (l' & g & by_l' & _ & _ & to & _). rewrite by_l in by_l'. injection by_l' as <-.
      apply granted_iff in to as (x & found & _ & to). now rewrite (ungranted x found) in to.
    - unfold by_maintainer. now rewrite by_l, stranger.
  Qed.

  Lemma unsigned_never_counts : forall s e, is_signed a -> signed e = None -> effective a s e = false.
  Proof.
    intros s e closed nobody. unfold effective, admissible, permitted, by_maintainer, author. rewrite nobody. cbn.
    destruct (maintainers a) as [keys |] eqn:none; [reflexivity | now elim closed].
  Qed.

  (** ** Only maintainers rule *)

  Lemma without_a_ruling_the_rest_counts_as_before : forall s x,
    rules a x = false -> forall e, admissible a (join s [x]) e = admissible a s e
                                   /\ effective a (join s [x]) e = effective a s e.
  Proof.
    intros s x idle e.
    assert (same_rulings a (join s [x]) s) as agree.
    { intros y ruling. rewrite in_join. split; [| now left]. intros [found | [<- | []]]; [exact found | congruence]. }
    split; [now apply admissible_follows | now apply effective_follows].
  Qed.

  Lemma only_maintainers_rule : forall s x, by_maintainer a x = false ->
    forall e, admissible a (join s [x]) e = admissible a s e /\ effective a (join s [x]) e = effective a s e.
  Proof.
    intros s x writer. apply without_a_ruling_the_rest_counts_as_before. unfold rules. now destruct (action x).
  Qed.

  Lemma data_rules_nothing : forall s x o, action x = Data o ->
    forall e, effective a (join s [x]) e = effective a s e.
  Proof.
    intros s x o what e. apply without_a_ruling_the_rest_counts_as_before. unfold rules. now rewrite what.
  Qed.

  (** ** What grows and what shrinks *)

  Lemma permitted_with : forall s t e, within s t ->
    (forall r g, In r t -> under e = Some g -> revokes a r g = true ->
       In r s \/ exists k, In k t /\ keeps a k (entry_id a r) (entry_id a e) = true) ->
    permitted a s e = true -> permitted a t e = true.
  Proof.
    intros s t e more covered. rewrite !permitted_spelled_out.
    intros (sound & l & g & by_l & under_g & (x & found & named & to) & free).
    split; [exact sound |]. exists l, g. repeat split; try assumption.
    - exists x. split; [now apply more | now split].
    - intros r there hit. destruct (covered r g there under_g hit) as [held | kept]; [| exact kept].
      destruct (free r held hit) as (k & held' & holds). exists k. split; [now apply more | exact holds].
  Qed.

  Lemma effective_with : forall s t e, within s t ->
    (forall r g, In r t -> under e = Some g -> revokes a r g = true ->
       In r s \/ exists k, In k t /\ keeps a k (entry_id a r) (entry_id a e) = true) ->
    effective a s e = true -> effective a t e = true.
  Proof.
    intros s t e more covered. unfold effective. rewrite !andb_true_iff. intros [allowed what]. split; [| exact what].
    unfold admissible in *. destruct (maintainers a) as [keys |]; [| exact allowed].
    apply orb_true_iff in allowed as [maintained | allowed]; apply orb_true_iff; [now left | right].
    now apply permitted_with with s.
  Qed.

  Lemma more_without_revokes_only_helps : forall s more e,
    (forall x i, In x more -> revokes a x i = false) ->
    effective a s e = true -> effective a (join s more) e = true.
  Proof.
    intros s more e harmless. apply effective_with; [apply join_inflationary |].
    intros r g found _ hit. apply in_join in found as [found | found]; [now left |].
    now rewrite (harmless r g found) in hit.
  Qed.

  Lemma grants_only_help : forall s x to once said e, action x = Grant to once said ->
    effective a s e = true -> effective a (join s [x]) e = true.
  Proof.
    intros s x to once said e what. apply more_without_revokes_only_helps.
    intros y i [<- | []]. unfold revokes. now rewrite what.
  Qed.

  Lemma keeps_only_help : forall s x revoke kept said e, action x = Keep revoke kept said ->
    effective a s e = true -> effective a (join s [x]) e = true.
  Proof.
    intros s x revoke kept said e what. apply more_without_revokes_only_helps.
    intros y i [<- | []]. unfold revokes. now rewrite what.
  Qed.

  Lemma a_revoke_never_helps : forall s r named said e, action r = Revoke named said ->
    effective a (join s [r]) e = true -> effective a s e = true.
  Proof.
    intros s r named said e what. unfold effective. rewrite !andb_true_iff. intros [allowed rest].
    split; [| exact rest].
    unfold admissible in *. destruct (maintainers a) as [keys |]; [| exact allowed].
    apply orb_true_iff in allowed as [maintained | allowed]; apply orb_true_iff; [now left | right].
    rewrite permitted_spelled_out in *.
    destruct allowed as (sound & l & g & by_l & under_g & (x & found & id_g & to) & free).
    split; [exact sound |]. exists l, g. repeat split; try assumption.
    - exists x. apply in_join in found as [found | [<- | []]]; [now split |].
      unfold grants in to. now rewrite what in to.
    - intros r' there hit. destruct (free r' (proj2 (in_join _ _ _) (or_introl there)) hit) as (k & held & holds).
      exists k. split; [| exact holds]. apply in_join in held as [held | [<- | []]]; [exact held |].
      unfold keeps in holds. now rewrite what in holds.
  Qed.

  (** ** Keeps *)

  Lemma kept_stays : forall s r k e,
    (forall i, revokes a k i = false) -> keeps a k (entry_id a r) (entry_id a e) = true ->
    effective a s e = true -> effective a (join s [r; k]) e = true.
  Proof.
    intros s r k e harmless holds. apply effective_with; [apply join_inflationary |].
    intros x g found _ hit. apply in_join in found as [found | [<- | [<- | []]]]; [now left | right |].
    - exists k. split; [| exact holds]. apply in_join. right. cbn. auto.
    - now rewrite harmless in hit.
  Qed.

  Lemma a_kept_operation_stays : forall s r k revoke kept said e,
    by_maintainer a k = true -> action k = Keep revoke kept said -> revoke = entry_id a r -> In (entry_id a e) kept ->
    effective a s e = true -> effective a (join s [r; k]) e = true.
  Proof.
    intros s r k revoke kept said e maintained what -> named. apply kept_stays.
    - intros i. unfold revokes. now rewrite what.
    - unfold keeps. rewrite what, maintained, !andb_true_iff, existsb_equal_iff, equal_iff. auto.
  Qed.

  Lemma unkept_does_not_count : forall s r g e, is_signed a -> by_maintainer a e = false -> under e = Some g ->
    In r s -> revokes a r g = true ->
    (forall k, In k s -> keeps a k (entry_id a r) (entry_id a e) = false) ->
    effective a s e = false.
  Proof.
    intros s r g e closed writer under_g held hit unkept. unfold effective. rewrite writers_admissible by assumption.
    apply andb_false_iff. left. apply not_true_iff_false. rewrite permitted_spelled_out.
    intros (_ & l & g' & _ & under_g' & _ & free). rewrite under_g in under_g'. injection under_g' as <-.
    destruct (free r held hit) as (k & there & holds). now rewrite (unkept k there) in holds.
  Qed.

  Lemma other_grants_are_untouched : forall s r named said e, action r = Revoke named said ->
    (forall g, under e = Some g -> ~ In g named) -> effective a (join s [r]) e = effective a s e.
  Proof.
    intros s r named said e what other. apply equal_when_both.
    split; [now apply a_revoke_never_helps with named said |]. apply effective_with; [apply join_inflationary |].
    intros x g found under_g hit. apply in_join in found as [found | [<- | []]]; [now left |].
    unfold revokes in hit. rewrite what, andb_true_iff, existsb_equal_iff in hit. now elim (other g under_g).
  Qed.

  Lemma revokes_do_not_touch_maintainers : forall s more e,
    by_maintainer a e = true -> effective a (join s more) e = effective a s e.
  Proof.
    intros s more e maintained. unfold effective. now rewrite !maintainers_are_admissible.
  Qed.

  Lemma effective_by_parts : forall s t e,
    (forall i l, granted a s i l = granted a t i l) -> (forall g i, kept_by_all a s g i = kept_by_all a t g i) ->
    effective a s e = effective a t e.
  Proof.
    intros s t e to free. unfold effective, admissible, permitted. destruct (author a e), (under e); try reflexivity.
    now rewrite to, free.
  Qed.

  Lemma keeps_add_up : forall s k k' both revoke kept kept' said said' said'' e,
    by_maintainer a k = true -> by_maintainer a k' = true -> by_maintainer a both = true ->
    action k = Keep revoke kept said -> action k' = Keep revoke kept' said' ->
    action both = Keep revoke (kept ++ kept') said'' ->
    effective a (join s [k; k']) e = effective a (join s [both]) e.
  Proof.
    intros s k k' both revoke kept kept' said said' said'' e m m' m'' what what' what''. apply effective_by_parts.
    - intros i l. unfold granted, join, grants. rewrite !existsb_app. cbn. rewrite what, what', what''.
      now rewrite !andb_false_r.
    - intros g i. unfold kept_by_all, join. rewrite !forallb_app. cbn. unfold revokes at 2 3 5.
      rewrite what, what', what''. cbn. rewrite !andb_true_r. apply forallb_extends. intros x. f_equal.
      unfold Policy.kept. rewrite !existsb_app. cbn. unfold keeps at 2 3 5.
      rewrite what, what', what'', m, m', m'', existsb_app. cbn. f_equal.
      now destruct (equal revoke (entry_id a x)), (existsb (equal i) kept), (existsb (equal i) kept').
  Qed.
End PolicyRulings.
