(** Join is union. *)

From Coq Require Import List Bool.
From MergeAlgebra.Definitions Require Import OperationSet.
From MergeAlgebra.Lemmas Require Import Ascending.
Import ListNotations.

Section Joins.
  Context {op : Type}.
  Implicit Types a b c d part : state_over op.

  Lemma in_join : forall a b o, In o (join a b) <-> In o a \/ In o b.
  Proof. intros a b o. unfold join. apply in_app_iff. Qed.

  Lemma same_is_an_equivalence :
    (forall a, same a a) /\ (forall a b, same a b -> same b a) /\ (forall a b c, same a b -> same b c -> same a c).
  Proof. unfold same. firstorder. Qed.

  Lemma within_is_an_order :
    (forall a, within a a) /\ (forall a b c, within a b -> within b c -> within a c)
    /\ (forall a b, within a b -> within b a -> same a b).
  Proof. unfold within, same. firstorder. Qed.

  Ltac by_members := unfold same, within; intros; rewrite ?in_join in *; firstorder.

  Lemma join_commutative : forall a b, same (join a b) (join b a).
  Proof. by_members. Qed.

  Lemma join_associative : forall a b c, same (join (join a b) c) (join a (join b c)).
  Proof. unfold same. intros. rewrite !in_join. tauto. Qed.

  Lemma join_idempotent : forall a, same (join a a) a.
  Proof. by_members. Qed.

  Lemma join_inflationary : forall a b, within a (join a b).
  Proof. unfold within. intros. rewrite in_join. now left. Qed.

  Lemma join_least_upper_bound : forall a b c,
    within a (join a b) /\ within b (join a b) /\ (within a c -> within b c -> within (join a b) c).
  Proof.
    unfold within. intros a b c. repeat split; intros; rewrite in_join in *; auto.
    match goal with H : _ \/ _ |- _ => destruct H; auto end.
  Qed.

  Lemma join_monotone : forall a b c d, within a b -> within c d -> within (join a c) (join b d).
  Proof. unfold within. intros a b c d ab cd o. rewrite !in_join. intuition. Qed.

  Lemma join_respects_same : forall a b c d, same a b -> same c d -> same (join a c) (join b d).
  Proof. unfold same. intros a b c d ab cd o. rewrite !in_join, ab, cd. tauto. Qed.

  Lemma same_is_an_equality :
    (forall a, same a a) /\ (forall a b, same a b -> same b a) /\ (forall a b c, same a b -> same b c -> same a c)
    /\ forall a b c d, same a b -> same c d -> same (join a c) (join b d).
  Proof.
    destruct same_is_an_equivalence as (itself & back & on). split; [exact itself |]. split; [exact back |].
    split; [exact on | exact join_respects_same].
  Qed.

  Lemma within_iff_join : forall a b, within a b <-> same (join a b) b.
  Proof.
    unfold within, same. intros a b. split.
    - intros all o. rewrite in_join. firstorder.
    - intros equal o found. apply equal, in_join. now left.
  Qed.

  Lemma cut_off_and_repeated : forall a b part,
    within part b -> same (join (join a part) b) (join a b).
  Proof.
    unfold within, same. intros a b part all o. rewrite !in_join. firstorder.
  Qed.

  Lemma in_deliveries : forall (parts : list (state_over op)) a o,
    In o (fold_left join parts a) <-> In o a \/ In o (concat parts).
  Proof.
    induction parts as [| part parts IH]; intros a o; cbn.
    - tauto.
    - rewrite IH, in_join, in_app_iff. tauto.
  Qed.

  Lemma deliveries_are_a_set : forall (parts others : list (state_over op)) a,
    same (concat parts) (concat others) -> same (fold_left join parts a) (fold_left join others a).
  Proof. intros parts others a equal o. rewrite !in_deliveries, (equal o). tauto. Qed.
End Joins.

Section Differences.
  Context {w : workspace}.
  Implicit Types a b : state w.

  Lemma in_difference : forall a b o,
    In o (difference a b) <-> In o a /\ ~ In (operation_id o) (map operation_id b).
  Proof.
    intros a b o. unfold difference. rewrite filter_In, negb_true_iff, <- existsb_equal_iff, not_true_iff_false.
    tauto.
  Qed.

  Lemma sync_gives_the_union : forall a b, collision_free (join a b) -> same (join b (difference a b)) (join b a).
  Proof.
    intros a b free o. rewrite !in_join, in_difference. split; [tauto |].
    intros [found | found]; [now left |].
    destruct (existsb (equal (operation_id o)) (map operation_id b)) eqn:known.
    - left. apply existsb_equal_iff, in_map_iff in known as [p [ids held]].
      assert (o = p) as ->; [| exact held].
      apply free; [apply in_join; now left | apply in_join; now right | now symmetry].
    - right. split; [exact found |]. rewrite <- existsb_equal_iff. congruence.
  Qed.
End Differences.
